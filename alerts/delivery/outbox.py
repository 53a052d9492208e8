"""Which deliveries of one receiver go out now, and what an attempt means for the next. Pure.

Of one incident everything stays in order. A receiver that fails is tried with one delivery at a time, not always the
same, until it works again; then all go out side by side, and one that fails for itself holds up no other incident.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from alerts.delivery.delivery import LONGEST_WAIT_S, Delivery, DeliveryOutcome, Settled

BACKOFF_S = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
REFUSED_BACKOFF_S = (30.0, 60.0, 120.0, 300.0, 600.0, 900.0)
LONGEST_PAUSE_S = max(*BACKOFF_S, *REFUSED_BACKOFF_S, LONGEST_WAIT_S)
GIVEN_UP_AFTER = timedelta(hours=24)
"""What is refused is tried on for so long once its incident is over; while that is open, for ever."""
EVENT_GIVEN_UP_AFTER = timedelta(days=7)
"""So long for an event of a finding: whoever collects them looks in the working week."""

TRIES_IN_A_ROW = 3
"""After so many failures of one delivery another is tried first: what fails may be its words."""

Lane = tuple[Delivery, ...]


def choose_lanes(due: Sequence[Delivery], busy: Collection[str], *, works: bool) -> list[Lane]:
    """Return the deliveries to begin now, by incident; lanes may run side by side.

    ``due`` is one receiver's, oldest first; ``busy`` are the incidents of those under way. ``works``: the last one
    arrived, so there is no need to try one alone.
    """
    by_incident: dict[str, list[Delivery]] = {}
    for delivery in due:
        by_incident.setdefault(delivery.incident.id, []).append(delivery)
    ready = [tuple(chain) for key, chain in by_incident.items() if key not in busy]
    if works:
        return ready
    return [] if busy or not ready else [min(ready, key=lambda lane: lane[0].attempts // TRIES_IN_A_ROW)[:1]]


def pause_after(attempts: int, outcome: DeliveryOutcome) -> float:
    """Return the seconds until the next attempt; ``attempts`` counts the one that just failed."""
    steps = BACKOFF_S if outcome.retry else REFUSED_BACKOFF_S
    return max(steps[min(attempts - 1, len(steps) - 1)], outcome.retry_after_s or 0.0)


def settle(delivery: Delivery, outcome: DeliveryOutcome, now: float, *, over_for: timedelta | None) -> Settled:
    """Return what an attempt means: what arrived is done with, what may arrive some day is tried again.

    ``over_for``: since when the incident is over, None while it is open.
    """
    patience = EVENT_GIVEN_UP_AFTER if delivery.finding else GIVEN_UP_AFTER
    given_up = not outcome.retry and over_for is not None and over_for > patience
    pause_s = 0.0 if outcome.delivered or given_up else pause_after(delivery.attempts + 1, outcome)
    return Settled(
        delivery, outcome.delivered or given_up, now + pause_s, refused=not outcome.retry, unfit=outcome.unfit
    )
