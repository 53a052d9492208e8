"""Something to be said to one receiver, and what became of an attempt to say it."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from alerts.decision.incidents import Incident
from schemas.messages import NotificationEvent

LONGEST_WAIT_S = 900.0
"""A receiver that asks for more time than this is not given more."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be said to one receiver; ``id`` is the receiver's idempotency key and never changes.

    ``incident`` is the incident as it was when the decision fell; ``position`` is its place among all deliveries, which
    the ledger gives it. ``refused``: at the last attempt the receiver refused it; ``unfit``: and must not get the same
    words again.
    """

    id: str
    receiver: str
    event: NotificationEvent
    reason: str
    incident: Incident
    decided_at: datetime
    position: int = 0
    attempts: int = 0
    next_at: float = 0.0
    refused: bool = False
    unfit: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a delivery's attempt: done with, or due again at ``next_at``."""

    delivery: Delivery
    done: bool
    next_at: float = 0.0
    refused: bool = False
    unfit: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to.

    ``retry``: another may succeed soon; without it the receiver refuses, and somebody must change something.
    ``unfit``: these very words must never be sent again. ``retry_after_s`` is what the receiver asked for.
    """

    delivered: bool
    detail: str
    retry: bool = True
    retry_after_s: float | None = None
    unfit: bool = False
