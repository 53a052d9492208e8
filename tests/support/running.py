"""The lab's resolver in a thread, and the command as a process: what a user has."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import urllib3

from anchorwatch.__main__ import cli
from anchorwatch.cli.exit_status import run_and_exit
from anchorwatch.lab.partners import PartnerWorld
from anchorwatch.lab.server import LabResolver

COMMAND = [sys.executable, "-m", "anchorwatch"]
PATIENCE_S = 30.0
CALL_WITHIN_S = 120.0


class Lab:
    """A partner world behind a resolver on loopback; change it with ``stage``."""

    def __init__(self, folder: Path, kind: type[LabResolver] = LabResolver) -> None:
        self.world = PartnerWorld(time.time)
        self.resolver = kind(self.world.world, self.world.anchors, time.time)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self.resolver.start())
        self.url = f"udp://127.0.0.1:{self.resolver.address[1]}"
        self.anchors = folder / "root.ds"
        self.anchors.write_text("\n".join(self.world.anchors.texts) + "\n")

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def stage(self, change: Callable[[PartnerWorld], None]) -> None:
        """Change the world between two queries."""
        done: Future[None] = Future()

        def apply() -> None:
            change(self.world)
            done.set_result(None)

        self.loop.call_soon_threadsafe(apply)
        done.result(10)

    def close(self) -> None:
        self._call(self.resolver.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    @property
    def options(self) -> list[str]:
        return ["--resolver", self.url, "--trust-anchor", str(self.anchors)]


def call(
    *words: str, folder: Path | None = None, input: str | None = None, **environ: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=CALL_WITHIN_S,
        check=False,
        cwd=folder,
        input=input,
        env={**environment(), **environ},
    )


def call_here(*words: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end in this process, where the process shows nothing: it takes a tenth of the time."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["anchorwatch", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err), chdir(folder or Path()):
            run_and_exit(cli)
    except SystemExit as ended:
        status = ended.code
    finally:
        sys.argv = before
    assert isinstance(status, int)
    return subprocess.CompletedProcess([*words], status, out.getvalue(), err.getvalue())


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONWARNINGS": "default"}


class Running:
    """``anchorwatch run`` as a process."""

    def __init__(self, config: Path, url: str) -> None:
        self.url = url
        self.process = subprocess.Popen(
            [*COMMAND, "run", str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )

    def get(self, path: str) -> Any:
        status, body = self.ask(path)
        assert status in (200, 503), (path, status, body)
        return json.loads(body) if path.startswith("/api") else body.decode()

    def ask(self, path: str) -> tuple[int, bytes]:
        """Return status and body."""
        answer = urllib3.request("GET", self.url + path, timeout=10.0, retries=False)
        return answer.status, answer.data

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Wait until ``holds`` returns something true."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if found := holds():
                    return found
            except urllib3.exceptions.HTTPError:
                if self.process.poll() is not None:
                    raise AssertionError(f"ended early: {self.process.communicate()}") from None
            time.sleep(0.1)
        raise AssertionError(f"{what} did not come within {PATIENCE_S:.0f} s")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def running(config: Path, url: str) -> Iterator[Running]:
    one = Running(config, url)
    try:
        one.until(lambda: one.ask("/-/ready")[0] == 200, "readiness")
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
