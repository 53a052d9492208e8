"""What the alerts ask of their ledger: one step is written whole or not at all, and read again after a restart."""

from collections.abc import Collection, Iterable
from typing import Protocol, TypedDict, Unpack

from alerts.decision.incidents import Incident
from alerts.decision.silences import Silence
from alerts.delivery.delivery import Delivery, Settled
from schemas.messages import Notification


class Parts(TypedDict, total=False):
    """What one step writes: ``handled`` are findings by id with the version that was taken in."""

    incidents: Iterable[Incident]
    handled: Iterable[tuple[str, int]]
    deliveries: Iterable[Delivery]
    settled: Iterable[Settled]
    notifications: Iterable[Notification]
    silences: Iterable[Silence]


class Record(Protocol):
    """What was said, to whom, and what is open: for people to look at. Every method blocks.

    Raises:
        Transient: the ledger can't be read.
    """

    def incidents(self, limit: int) -> list[Incident]:
        """Return incidents, open ones first, then the newest."""
        ...

    def notifications(self, limit: int) -> list[Notification]:
        """Return what was said or withheld, newest first."""
        ...

    def find_incidents(self, prefix: str, limit: int) -> list[Incident]:
        """Return the incidents whose id begins so, the newest first."""
        ...

    def incidents_on(self, cause: str, limit: int) -> list[Incident]:
        """Return the incidents on a cause, the newest first."""
        ...

    def notifications_of(self, incident: str) -> list[Notification]:
        """Return what was said of an incident, or withheld, oldest first."""
        ...

    def silences(self) -> list[Silence]:
        """Return the silences, those too that are over, the one that ends last first."""
        ...

    def pending(self) -> int:
        """Return how many deliveries wait."""
        ...

    def revision(self) -> int:
        """Return a number that is another one after each step that wrote an incident, a notification or a silence."""
        ...


class Ledger(Record, Protocol):
    """The memory of the alerts stage. Every method blocks.

    Raises:
        Transient: the ledger can't be read or written; the step left nothing behind.
    """

    def open_incidents(self) -> list[Incident]:
        """Return the open incidents, oldest first."""
        ...

    def handled_versions(self, findings: Collection[str]) -> dict[str, int]:
        """Return the last version that was taken in, by finding; what never was is left out."""
        ...

    def deliveries(self) -> list[Delivery]:
        """Return everything that waits, oldest first."""
        ...

    def due(self, now: float, most: int) -> list[list[Delivery]]:
        """Return for each receiver up to ``most`` of its oldest deliveries that are due, in order.

        While one that failed is not due again, what else is to be said of its incident is left out too; only what must
        not be said in the same words again holds up nothing. One that is due later than any pause is long was put off
        by a clock that has been set back since: it is due.
        """
        ...

    def waiting(self, deliveries: Collection[str]) -> set[str]:
        """Return which of these deliveries still have to be made."""
        ...

    def commit(self, **parts: Unpack[Parts]) -> None:
        """Write one step, whole or not at all."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
