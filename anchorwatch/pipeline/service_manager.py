"""What a service manager such as systemd is told: that the process is ready, lives, reloads, or ends.

Where no manager started the process, nothing is told. The watchdog is fed from the progress of the stages, not by the
fact that a timer still runs: a stage that is stuck ends it, as it ends ``/-/healthy``.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import MutableMapping

from anchorwatch.pipeline.progress import Progress

log = logging.getLogger(__name__)


class ServiceManager:
    """The manager that the environment names; its variables are taken out, so that no child speaks for us."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        is_ours = pid in ("", str(os.getpid()))
        self.watchdog_s = int(microseconds) / 1e6 if microseconds.isdigit() and is_ours else 0.0

    def tell(self, *lines: str) -> None:
        """Send lines such as ``READY=1`` in one message; nobody waits, and a manager that is gone is no fault."""
        if not self._address.startswith(("/", "@")):
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
                connection.setblocking(False)
                connection.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("the service manager can't be told", extra={"what": lines[0], "detail": error.strerror})

    def reloading(self) -> None:
        """Say that the configuration is read again; ``READY=1`` ends it."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    async def feed_watchdog(self, progress: Progress) -> None:
        """Say twice within each watchdog's time that the process lives, while no stage is stuck; for ever."""
        while self.watchdog_s:
            stuck = progress.why_not_healthy()
            if stuck:
                log.error("the watchdog is not fed", extra={"detail": "; ".join(stuck)})
            else:
                self.tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)
