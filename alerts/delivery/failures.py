"""The finding that a receiver can't be reached, and what the log says of findings and deliveries. Pure."""

from datetime import datetime

import msgspec

from alerts.decision.incidents import cause_of
from alerts.delivery.delivery import Delivery, Outcome
from alerts.delivery.wording import summarise
from schemas.catalogue import CATALOGUE, Kind
from schemas.codes import Code
from schemas.messages import Finding, FindingStatus
from schemas.wire import digest_of

FAILED_CODE = Code.SELF_ALERT_DELIVERY_FAILED
UNTOLD = "; not delivered: "
UNFIT = Outcome(False, "", retry=False, unfit=True)
"""What becomes of a delivery whose words were refused as such and are still the same."""


def make_failure(delivery: Delivery, detail: str, at: datetime) -> Finding:
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
        detail=f"receiver {receiver}: {detail}{UNTOLD}{summary_of(delivery)}",
        opened_at=at,
        updated_at=at,
    )


def end_failure(finding: Finding, at: datetime) -> Finding:
    """Return the finding as it is once the receiver works again."""
    return msgspec.structs.replace(
        finding, version=finding.version + 1, status=FindingStatus.CLOSED, updated_at=at, closed_at=at
    )


def summary_of(delivery: Delivery) -> str:
    """Return in one line what is to be delivered."""
    return summarise(delivery.incident, delivery.event)


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
