"""The notification that goes on record: what was sent, what failed, and what was withheld. Pure."""

from datetime import datetime

import msgspec

from alerts.decision.incidents import Incident
from alerts.decision.order import Withheld
from alerts.delivery.delivery import Delivery
from alerts.delivery.wording import summarise
from schemas.messages import Notification, NotificationEvent, NotificationStatus


def record_withheld(withheld: Withheld, at: datetime) -> Notification:
    """Return the record of an incident that nobody is notified of."""
    blank = _record(withheld.incident, withheld.event, withheld.id, at)
    return msgspec.structs.replace(blank, status=NotificationStatus.WITHHELD, reason=withheld.reason)


def record_delivery(
    delivery: Delivery, status: NotificationStatus, reason: str, at: datetime, *, attempts: int = 0
) -> Notification:
    """Return the record of a delivery that arrived or failed."""
    if delivery.letter is not None:
        return Notification(
            id=delivery.id,
            incident="",
            event=delivery.event,
            status=status,
            receiver=delivery.receiver,
            reason=reason,
            at=at,
            attempts=attempts,
            summary=delivery.letter.subject,
        )
    blank = _record(delivery.incident, delivery.event, delivery.id, at)
    return msgspec.structs.replace(blank, status=status, receiver=delivery.receiver, reason=reason, attempts=attempts)


def _record(incident: Incident, event: NotificationEvent, record_id: str, at: datetime) -> Notification:
    return Notification(
        id=record_id,
        incident=incident.id,
        event=event,
        status=NotificationStatus.SENT,
        receiver="",
        reason="",
        at=at,
        severity=incident.severity,
        summary=summarise(incident, event),
        cause_zone=incident.lead.cause_zone,
        findings=tuple(incident.entries),
        controls=incident.controls,
    )
