"""What is polled, and how polling goes: for metrics, and for whoever has polling done by others."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

COUNTS = ("polls", "validations", "resigned", "shadowed", "shadow_differences", "queries", "polls_late")
STATES = ("watched", "polls_waiting", "resting")


class PollingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the start, and states.

    ``watched`` are checks (name, type, vantage), ``hosts`` different names. ``validations`` are the polls that were
    validated in full, ``resigned`` those whose answer was the same under another signature, ``shadowed`` those
    validated in full only to compare, with ``shadow_differences``. ``polls_late`` began late, or their turn came before
    the last one was over; ``polls_waiting`` are due and wait for a slot; ``resting`` are in zones that do not answer,
    and are asked seldom. ``answered_at`` has by vantage when it last answered, in POSIX seconds; ``passed_over`` by
    kind the replies that answered no question of ours. ``inventory_changes`` has how many identities came, went and
    changed, by ``added``, ``removed`` and ``changed``; of whoever follows the inventory.
    """

    watched: int = 0
    hosts: int = 0
    polls: int = 0
    validations: int = 0
    resigned: int = 0
    shadowed: int = 0
    shadow_differences: int = 0
    queries: int = 0
    polls_late: int = 0
    polls_waiting: int = 0
    resting: int = 0
    answered_at: dict[str, float] = {}
    passed_over: dict[str, int] = {}
    inventory_changes: dict[str, int] = {}

    def counts(self) -> "PollingStatus":
        """Return what was counted, without the states: what one that is over leaves to its successor."""
        counted = {field: getattr(self, field) for field in COUNTS}
        return PollingStatus(answered_at=self.answered_at, passed_over=self.passed_over, **counted)


def sum_of(parts: Iterable[PollingStatus], hosts: int) -> PollingStatus:
    """Return what several have done together; ``hosts`` is how many names there are in all."""
    counts: Counter[str] = Counter()
    passed_over: Counter[str] = Counter()
    answered_at: dict[str, float] = {}
    for part in parts:
        for field in (*COUNTS, *STATES):
            counts[field] += getattr(part, field)
        passed_over.update(part.passed_over)
        for name, at in part.answered_at.items():
            answered_at[name] = max(at, answered_at.get(name, at))
    counted: dict[str, Any] = dict(counts)
    return PollingStatus(hosts=hosts, answered_at=answered_at, passed_over=dict(passed_over), **counted)
