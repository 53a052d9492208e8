"""Digests of owners: due on a schedule, one for each period, however often the process that sends them begins. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from alerts.config import DigestPlan
from alerts.decision.incidents import Incident
from alerts.decision.order import Letter, Order
from alerts.decision.timekeeping import Moment
from schemas.wire import digest_of


class Letters(Protocol):
    """Who knows what owners must be told. Nothing here blocks."""

    def ask(self, since: datetime, until: datetime) -> Mapping[str, Letter] | None:
        """Return the letter of each owner over a time; None while that is not known yet: it is asked again."""
        ...


def period_of(plan: DigestPlan, at: Moment) -> tuple[str, datetime, datetime] | None:
    """Return the period whose turn it is, under the name by which it is known to have been sent; None between turns."""
    until = plan.schedule.due_at(at.wall)
    if until is None:
        return None
    return digest_of("digests", until.isoformat())[:32], until - timedelta(seconds=plan.period_s), until


def make_letters(plan: DigestPlan, letters: Mapping[str, Letter], period: str, at: Moment) -> list[Order]:
    """Return a delivery for each owner that somebody is told for."""
    found = []
    for owner, letter in sorted(letters.items()):
        receiver = plan.owners.get(owner, plan.receiver)
        if not receiver:
            continue
        key = digest_of(period, owner)[:32]
        found.append(
            Order(
                id=key,
                receiver=receiver,
                event="digest",
                reason="it is sent on a schedule",
                incident=Incident(id=key, cause="digest", opened_at=at.wall, updated_at=at.wall),
                decided_at=at.wall,
                letter=letter,
            )
        )
    return found
