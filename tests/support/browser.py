"""A headless Chromium, spoken to over a pipe: what a page looks like, says and does. No library is needed for that."""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
LACKING = "needs Chromium: apt-get install chromium"
AXE = Path(__file__).parents[2] / ".tools/axe/package/axe.min.js"
LACKING_AXE = "needs axe-core: mkdir -p .tools/axe && npm pack axe-core@4.14.1 && tar -xf axe-core-*.tgz -C .tools/axe"
PATIENCE_S = 60.0
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions"),
    *("--disable-dev-shm-usage", "--disable-background-networking", "--remote-debugging-pipe", "--mute-audio"),
    *("--force-color-profile=srgb", "--disable-component-update", "--no-default-browser-check", "--disable-sync"),
)

# Chromium reads commands from descriptor 3 and writes answers to 4.
AS_3_AND_4 = """
import fcntl, os, sys
far = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 100) for one in sys.argv[1:3]]
os.dup2(far[0], 3)
os.dup2(far[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One Chromium with one tab.

    Source: Chrome DevTools Protocol; over ``--remote-debugging-pipe`` messages are JSON, each ended by a zero octet.
    """

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="anchorwatch-chromium-")
        read_theirs, self._write = os.pipe()
        self._read, write_theirs = os.pipe()
        wrapped = [sys.executable, "-c", AS_3_AND_4, str(read_theirs), str(write_theirs)]
        self._process = subprocess.Popen(
            [*wrapped, PROGRAM, *OPTIONS, f"--user-data-dir={self._folder}", "about:blank"],
            pass_fds=(read_theirs, write_theirs),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_theirs)
        os.close(write_theirs)
        self._numbers, self._octets, self._session = itertools.count(1), b"", ""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End it."""
        self._session = ""
        with contextlib.suppress(OSError, TimeoutError):
            self.call("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a command."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._octets:
            if not select.select([self._read], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError("Chromium does not answer")
            octets = os.read(self._read, 1 << 16)
            if not octets:
                raise OSError("Chromium is gone")
            self._octets += octets
        line, _, self._octets = self._octets.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(said["exceptionDetails"].get("exception", said["exceptionDetails"])))
        elif method == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")

    def show(self, width: int, height: int, *, dark: bool = False, script: bool = True) -> None:
        """Have the window be of this size, in light or dark, with or without script."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, still])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def go(self, url: str) -> None:
        """Go to a page, and wait until it is there."""
        self.requests.clear()
        self.complaints.clear()
        self.call("Page.navigate", url=url)
        self.until_loaded()

    def until_loaded(self) -> None:
        """Wait until a page is there whole."""
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def value(self, expression: str) -> Any:
        """Return what an expression comes to in the page, promises kept."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression holds in the page."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"{expression} did not come true"
            self.value("new Promise(done => setTimeout(done, 50))")

    def click(self, selector: str) -> None:
        """Follow a link, and wait for its page."""
        found = self.value(
            f"(one => (one && one.click(), Boolean(one)))(document.querySelector({json.dumps(selector)}))"
        )
        assert found, f"{selector} is not there"
        self.until_loaded()

    def press(self, key: str) -> None:
        """Press a key."""
        text = key if len(key) == 1 else ""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def shoot(self, path: Path, *, whole: bool = False) -> None:
        """Write a picture of the window, or of the whole page."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(picture["data"]))

    def height(self) -> int:
        """Return how tall the page is."""
        return int(self.value("document.documentElement.scrollHeight"))

    def axe(self) -> list[str]:
        """Return what axe-core says against the page: rule, how grave, and where."""
        self.value(AXE.read_text(encoding="utf-8") + "; 1")
        found = self.value("axe.run().then(said => JSON.stringify(said.violations))")
        return [
            f"{one['id']} ({one['impact']}): {node['target']} {node['failureSummary'][:300]}"
            for one in json.loads(found)
            for node in one["nodes"][:5]
        ]


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """Lend a browser."""
    browser = Browser()
    try:
        yield browser
    finally:
        browser.close()
