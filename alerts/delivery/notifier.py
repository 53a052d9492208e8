"""What the delivery asks of every way of reaching people: one attempt, and what came of it."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from alerts.delivery.delivery import Delivery, DeliveryOutcome

DEADLINE_S = 20.0
SIDE_BY_SIDE = 4
"""So many deliveries to one receiver may be under way at once."""


class Notifier(Protocol):
    """One receiver. ``send`` blocks, tries once, mostly ends within ``DEADLINE_S`` and raises nothing."""

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Say it; repeating one delivery must be harmless to the receiver. ``now`` is POSIX seconds."""
        ...


@runtime_checkable
class Refreshing(Protocol):
    """A receiver that forgets what it is not told again every minute."""

    def refresh(self, firing: Sequence[Delivery], now: float) -> DeliveryOutcome:
        """Say again what still goes on; a failure is no finding, since the deliveries themselves are tried on."""
        ...


@runtime_checkable
class Closing(Protocol):
    """A receiver that has something to end with the process."""

    def close(self) -> None:
        """End at once what is under way."""
        ...
