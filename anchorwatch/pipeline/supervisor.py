"""Restart what crashed, and give up on what keeps crashing."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from anchorwatch.telemetry import Meter

log = logging.getLogger(__name__)

RESTARTS = 5
RESTART_WINDOW_S = 300.0


class Supervisor:
    """Restarts a part that crashed, and gives up once it crashes too often."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def run(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` until it ends by itself.

        Raises:
            Exception: the last crash, after ``RESTARTS`` within ``RESTART_WINDOW_S``.
        """
        crashes: list[float] = []
        while True:
            try:
                await work()
            except Exception as crash:
                now = time.monotonic()
                crashes = [at for at in crashes if now - at < RESTART_WINDOW_S] + [now]
                if len(crashes) > RESTARTS:
                    log.critical("a part keeps crashing, giving up", extra={"part": part})
                    raise
                self._meter.restarts.labels(part).inc()
                log.error("a part crashed, starting it again", extra={"part": part}, exc_info=crash)
                await asyncio.sleep(min(2 ** len(crashes), 30))
            else:
                return
