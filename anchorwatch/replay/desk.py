"""Receivers that write down what they are sent, and a sender that needs no threads."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import Notifier
from alerts.receivers.receiver import HttpClient, Receiver


class Recorded(Receiver, frozen=True, kw_only=True, tag="recorded"):
    """A receiver of a scenario."""

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what writes down what it is sent."""
        return Recorder()


class Recorder:
    """Takes every delivery, while it is not ``down``; ``arrived`` has them with their times, each once."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, Delivery]] = []
        self.down = False
        self._seen: set[str] = set()

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Write it down; what comes again under its id is known already, as receivers treat it."""
        if self.down:
            return DeliveryOutcome(False, "the receiver is down")
        if delivery.id not in self._seen:
            self._seen.add(delivery.id)
            self.arrived.append((now, delivery))
        return DeliveryOutcome(True, "written down")


class InlineSender:
    """Sends at once, where it stands, one after the other."""

    def __init__(self, notifiers: Mapping[str, Notifier], now: Callable[[], float]) -> None:
        self._notifiers, self._now = notifiers, now
        self._results: list[tuple[Delivery, DeliveryOutcome]] = []

    @property
    def is_idle(self) -> bool:
        """Return whether nothing waits to be taken."""
        return not self._results

    def busy(self, receiver: str) -> set[str]:
        """Return the incidents of deliveries whose results were not taken yet."""
        return {delivery.incident.id for delivery, _ in self._results if delivery.receiver == receiver}

    def begin(self, receiver: str, lanes: Iterable[Sequence[Delivery]]) -> None:
        """Send each lane until something in it fails."""
        for lane in lanes:
            for delivery in lane:
                outcome = self._notifiers[receiver].send(delivery, self._now())
                self._results.append((delivery, outcome))
                if not outcome.delivered:
                    break

    def take(self) -> list[tuple[Delivery, DeliveryOutcome]]:
        """Return what came of deliveries since the last time."""
        results, self._results = self._results, []
        return results

    async def wait(self, seconds: float, gather_s: float = 0.0) -> None:
        """Return at once: nothing is under way."""

    def close(self) -> None:
        """Nothing is under way."""
