"""What a service manager hears: ready, alive while progress is made, reloading, stopping."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anchorwatch.pipeline.progress import STUCK_S, Progress
from anchorwatch.pipeline.service_manager import ServiceManager
from tests.support import virtual
from tests.support.daemons import free_port
from tests.support.running import COMMAND, Lab, environment

PR_SET_MDWE = 65
CONFIG = """\
inventory: [{{path: inventory.yaml}}]
vantages: [{{name: corp, resolver: "{resolver}"}}]
trust_anchors: {{path: "{anchors}"}}
poll: {{interval: {interval}}}
collectors: 1
http: {{listen: "127.0.0.1:{port}"}}
"""


class Manager:
    """Listens as systemd does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(120)

    def next(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())

    def until(self, key: str) -> list[str]:
        """Return the keys that came until one has ``key``, itself the last one."""
        came: list[str] = []
        while key not in came:
            came += self.next()
        return came

    def heard(self) -> list[dict[str, str]]:
        """Return what has come so far."""
        self._socket.setblocking(False)
        came = []
        try:
            while True:
                came.append(self.next())
        except BlockingIOError:
            return came

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    one = Manager(tmp_path / "notify")
    yield one
    one.close()


def test_the_variables_are_taken_out_of_the_environment(manager: Manager) -> None:
    environ = {
        "NOTIFY_SOCKET": str(manager.path),
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "A": "b",
    }

    ours = ServiceManager(environ)
    ours.tell("READY=1", "STATUS=fine")

    assert environ == {"A": "b"}
    assert ours.watchdog_s == 3.0
    assert manager.heard() == [{"READY": "1", "STATUS": "fine"}]


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, {"NOTIFY_SOCKET": "relative"}],
)
def test_without_a_manager_that_is_ours_nothing_is_told(environ: dict[str, str]) -> None:
    ours = ServiceManager(environ)

    ours.tell("READY=1")
    virtual.run(ours.feed_watchdog(Progress(lambda: 0.0)))

    assert ours.watchdog_s == 0.0


def test_a_manager_that_is_gone_is_no_fault(manager: Manager) -> None:
    ours = ServiceManager({"NOTIFY_SOCKET": str(manager.path)})
    manager.close()
    manager.path.unlink()

    ours.tell("READY=1")


def test_an_abstract_address_is_one() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0anchorwatch-test-{os.getpid()}")
        listener.settimeout(10)

        ServiceManager({"NOTIFY_SOCKET": f"@anchorwatch-test-{os.getpid()}"}).tell("READY=1")

        assert listener.recv(100) == b"READY=1"


def test_the_watchdog_is_fed_while_stages_move_and_no_longer(manager: Manager) -> None:
    ours = ServiceManager({"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "60000000"})

    async def story() -> tuple[int, int, int]:
        loop = asyncio.get_running_loop()
        progress = Progress(loop.time)
        step = progress.track("analyzer")
        feeding = loop.create_task(ours.feed_watchdog(progress))
        moving = 0
        for _ in range(60):
            await asyncio.sleep(10)
            step.turned()
            moving += len(manager.heard())  # the queue of a socket holds ten
        await asyncio.sleep(STUCK_S + 31)
        manager.heard()
        await asyncio.sleep(600)
        stuck = len(manager.heard())
        step.turned()
        await asyncio.sleep(61)
        again = len(manager.heard())
        feeding.cancel()
        return moving, stuck, again

    moving, stuck, again = virtual.run(story())

    assert moving >= 20
    assert stuck == 0
    assert again >= 2


CONFINED = (
    sys.executable,
    "-c",
    f"import ctypes, os, sys; ctypes.CDLL(None).prctl({PR_SET_MDWE}, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])",
)
"""Starts what follows without memory that can be written and run, as MemoryDenyWriteExecute= does; kernels before 6.3
do not know it, and refuse nothing."""


@pytest.mark.slow
def test_a_process_says_that_it_is_ready_lives_reloads_and_ends(tmp_path: Path, manager: Manager) -> None:
    lab, config, port = Lab(tmp_path), tmp_path / "anchorwatch.yaml", free_port()

    def write(interval: str) -> None:
        config.write_text(CONFIG.format(resolver=lab.url, anchors=lab.anchors, port=port, interval=interval))

    (tmp_path / "inventory.yaml").write_text("identities:\n- {id: sa, endpoints: [api.bank.example]}\n")
    write("1s")
    process = subprocess.Popen(
        [*CONFINED, *COMMAND, "run", str(config)],
        env=environment() | {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert set(manager.until("READY")) <= {"WATCHDOG", "READY"}
        assert "WATCHDOG" in manager.until("WATCHDOG")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            assert b"NOTIFY_SOCKET" not in Path(f"/proc/{child}/environ").read_bytes()
        write("2s")
        process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC" in manager.until("RELOADING")
        manager.until("READY")
        process.send_signal(signal.SIGTERM)
        manager.until("STOPPING")
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    finally:
        process.kill()
        lab.close()
