"""A dead man's heartbeat: somebody outside is called while all goes well, and notices when the calls cease.

Each process calls for itself, only while all of its stages make progress. Nothing is called to say that something is
wrong: whatever keeps the process from calling, down to a lost machine, looks the same from outside.
"""

import asyncio
import logging
import socket
import threading
from urllib.parse import quote, urlsplit

import urllib3

from alerts.receivers.exchange import Line
from anchorwatch.configuration.heartbeat import HeartbeatConfig
from anchorwatch.pipeline.progress import Progress
from anchorwatch.telemetry import Meter

log = logging.getLogger(__name__)

DEADLINE_S = 15.0
LOOK_S = 1.0
"""So often it is looked whether the stages have begun: the first call need not wait a whole interval."""


def url_of(template: str, stage: str, host: str) -> str:
    """Return the URL that a process calls: ``{stage}`` and ``{host}`` distinguish processes with one configuration."""
    return template.replace("{stage}", quote(stage, safe="")).replace("{host}", quote(host, safe=""))


class Heartbeat:
    """Calls every interval while ``progress`` has no objection; logs when that changes.

    ``stage`` is what this process does, ``run`` for all stages in one.
    """

    def __init__(
        self, config: HeartbeatConfig, progress: Progress, line: Line, meter: Meter, stage: str = "run"
    ) -> None:
        self._config, self._progress, self._line, self._meter = config, progress, line, meter
        self._url = url_of(config.url, stage, socket.gethostname())
        self._last_said = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Call from now on."""
        self._task = asyncio.get_running_loop().create_task(self._beat_on())

    def stop(self) -> None:
        """Call no more."""
        if self._task is not None:
            self._task.cancel()

    async def _beat_on(self) -> None:
        loop = asyncio.get_running_loop()
        begin_by = loop.time() + self._config.interval_s
        while self._progress.why_no_heartbeat() and loop.time() < begin_by:
            await asyncio.sleep(min(LOOK_S, self._config.interval_s))
        due_at = loop.time()
        while True:
            why_not = self._progress.why_no_heartbeat()
            if why_not:
                self._note("withheld", "; ".join(why_not))
            else:
                fault = await self._call()
                self._note("failed" if fault else "sent", fault)
            due_at = max(due_at + self._config.interval_s, loop.time())
            await asyncio.sleep(due_at - loop.time())

    async def _call(self) -> str:
        """Call once; return what went wrong, or nothing. The thread is left alone if it hangs."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()

        def settle(fault: str) -> None:
            if not done.done():
                done.set_result(fault)

        def call() -> None:
            fault = self._ask()
            try:
                loop.call_soon_threadsafe(settle, fault)
            except RuntimeError:
                log.debug("the process ended before the heartbeat was answered")

        threading.Thread(target=call, name="heartbeat", daemon=True).start()
        try:
            async with asyncio.timeout(DEADLINE_S + 1):
                return await done
        except TimeoutError:
            return f"no answer within {DEADLINE_S:g} s"

    def _ask(self) -> str:
        try:
            answer = self._line.exchange("GET", self._url, deadline_s=DEADLINE_S)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return f"no answer: {type(error).__name__}"
        return "" if 200 <= answer.status < 300 else f"HTTP {answer.status}"

    def _note(self, outcome: str, why: str) -> None:
        """Count it, and log what is new: an outage is one line at its start and one at its end."""
        self._meter.heartbeats.labels(outcome).inc()
        if outcome == self._last_said:
            return
        self._last_said = outcome
        level = logging.INFO if outcome == "sent" else logging.WARNING
        said = {"host": urlsplit(self._url).hostname} | ({"detail": why} if why else {})
        log.log(level, f"heartbeat {outcome}", extra=said)
