"""A process's place in a consumer group."""

import logging
from collections.abc import Callable
from typing import Any

from kafka import ConsumerRebalanceListener
from kafka.structs import TopicPartition

from anchorwatch.telemetry import Meter

log = logging.getLogger(__name__)


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Which partitions of a group's topics are ours; the library says so while it polls.

    ``owned`` is empty while the group assigns anew; ``held`` is the last assignment until then, and empty once the
    group went on without us. ``gained``: partitions are ours that were another's before, or may have been: they are new
    to us, or the group assigned in between without us. ``generation`` returns the group's, as of the last assignment.
    """

    def __init__(self, stage: str, meter: Meter, generation: Callable[[], int] | None = None) -> None:
        self._stage, self._meter, self._generation = stage, meter, generation
        self.owned: set[TopicPartition] = set()
        self.held: frozenset[TopicPartition] = frozenset()
        self.gained = False
        self._news = 0
        self._last_generation = 0

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Stop; nobody else begins before the new assignment is known."""
        self.owned -= set(revoked)

    def on_partitions_lost(self, lost: Any = ()) -> None:
        """Forget everything: the group has gone on without us."""
        self.owned.clear()
        self.held = frozenset()

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Take up the new assignment."""
        self._news += 1
        self.owned |= set(assigned)
        generation = self._generation() if self._generation is not None else self._last_generation + 1
        missed = generation != self._last_generation + 1
        self._last_generation = generation
        self.gained = self.gained or (bool(self.owned) and (missed or not self.owned <= self.held))
        self.held = frozenset(self.owned)

    def take_news(self) -> bool:
        """Return whether partitions were assigned anew since the last call; it is counted and logged here."""
        news, self._news = self._news, 0
        if news:
            self._meter.rebalances.labels(self._stage).inc(news)
            which = sorted(f"{one.topic}/{one.partition}" for one in self.held)
            log.info("assigned partitions", extra={"stage": self._stage, "partitions": len(which), "which": which})
        return bool(news)
