"""The console of the process."""

import sys
from collections.abc import Callable

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import Notifier
from alerts.delivery.wording import screen
from alerts.receivers.receiver import HttpClient, Receiver


class Console(Receiver, frozen=True, kw_only=True, tag="console"):
    """Standard output."""

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what writes to it."""
        return ConsoleNotifier()


class ConsoleNotifier:
    """Writes a few lines to standard output, or to what ``write`` is."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or sys.stdout.write

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Write it."""
        try:
            self._write(f"NOTIFICATION {delivery.event}: {screen(delivery)}\n")
        except (OSError, ValueError) as error:
            return DeliveryOutcome(False, f"the console is gone: {error}")
        return DeliveryOutcome(True, "written")
