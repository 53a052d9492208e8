"""The finding that a receiver can't be reached, and what the log says of findings and deliveries. Pure."""

from datetime import datetime

from alerts.decision.failing import FAILED_CODE
from alerts.decision.incidents import cause_of
from alerts.decision.order import Order
from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.wording import summarise
from schemas.catalogue import CATALOGUE, Kind
from schemas.messages import Finding, FindingStatus
from schemas.wire import digest_of

UNDELIVERED = "; not delivered: "
UNFIT = DeliveryOutcome(False, "", retry=False, unfit=True)
"""What becomes of a delivery whose words were refused as such and are still the same."""


def make_failure(delivery: Order, detail: str, at: datetime) -> Finding:
    """Return the finding that a delivery's receiver can't be reached; it names what was not delivered."""
    row, receiver = CATALOGUE[FAILED_CODE], delivery.receiver
    key = digest_of(row.code, "", receiver)[:32]
    return Finding(
        id=digest_of(key, at.isoformat())[:32],
        key=key,
        version=1,
        status=FindingStatus.OPENED,
        code=row.code,
        kind=Kind.STATE,
        severity=row.severity,
        confirmed=True,
        cause_zone="",
        cause_rrset=receiver,
        detail=f"receiver {receiver}: {detail}{UNDELIVERED}{summary_of(delivery)}",
        opened_at=at,
        updated_at=at,
    )


def summary_of(delivery: Order) -> str:
    """Return in one line what is to be delivered."""
    return delivery.letter.subject if delivery.letter is not None else summarise(delivery.incident, delivery.event)


def shown_of(finding: Finding) -> dict[str, object]:
    """Return what the log says of a finding that was taken in."""
    return {
        "finding": finding.id,
        "version": finding.version,
        "code": finding.code,
        "severity": str(finding.severity),
        "cause": cause_of(finding),
        "confirmed": finding.confirmed,
        "identities": max(finding.identity_count, len(finding.identities)),
    }


def shown_of_attempt(delivery: Delivery, outcome: DeliveryOutcome) -> tuple[str, str, dict[str, object]]:
    """Return what the log says of an attempt: its level, its text and its fields."""
    shown: dict[str, object] = {
        "receiver": delivery.receiver,
        "event": delivery.event,
        "incident": delivery.incident.id,
        "delivery": delivery.id,
        "attempt": delivery.attempts + 1,
        "detail": outcome.detail,
    }
    if outcome.delivered:
        return "INFO", "delivered", shown
    if outcome.retry:
        return "WARNING", "delivery failed, will be tried again", shown
    return "ERROR", "delivery refused, will be tried again while its incident is open", shown
