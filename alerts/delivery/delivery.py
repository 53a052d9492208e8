"""Something to be said to one receiver, and what became of an attempt to say it."""

from dataclasses import dataclass

import msgspec

from alerts.decision.order import Order

LONGEST_WAIT_S = 900.0
"""A receiver that asks for more time than this is not given more."""


class Delivery(Order, frozen=True, kw_only=True):
    """An order on its way; ``id`` is the receiver's idempotency key.

    ``position`` is its place among all deliveries, which the ledger gives it. ``refused``: at the last attempt the
    receiver refused it; ``unfit``: and must not get the same words again.
    """

    position: int = 0
    attempts: int = 0
    next_at: float = 0.0
    refused: bool = False
    unfit: bool = False


def delivery_of(order: Order) -> Delivery:
    """Return an order as a delivery that was not yet tried."""
    return Delivery(**msgspec.structs.asdict(order))


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a delivery's attempt: done with, or due again at ``next_at``."""

    delivery: Delivery
    done: bool
    next_at: float = 0.0
    refused: bool = False
    unfit: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What one attempt came to.

    ``retry``: another may succeed soon; without it the receiver refuses, and somebody must change something.
    ``unfit``: these very words must never be sent again. ``retry_after_s`` is what the receiver asked for. ``memo`` is
    what the receiver wants to find again in further deliveries of the incident, as the thread that it opened.
    """

    delivered: bool
    detail: str
    retry: bool = True
    retry_after_s: float | None = None
    unfit: bool = False
    memo: str = ""
