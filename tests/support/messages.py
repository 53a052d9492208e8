"""Messages as people get them, for the golden files: ``python -m tests.support.messages`` writes them anew."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from alerts.decision.drills import CAUSE, DETAIL
from alerts.decision.incidents import Entry, Incident, begin_incident, take_finding
from alerts.decision.life import Acknowledgement
from alerts.decision.storms import Storms, with_member
from alerts.decision.timekeeping import Moment
from alerts.delivery.delivery import Delivery
from alerts.delivery.wording import screen
from alerts.receivers.mail import make_html, make_mail
from alerts.receivers.pagerduty import make_events
from alerts.receivers.slack import make_message
from schemas.messages import Affected, Control, Finding
from tests.support.findings import AT, closed, finding

FOLDER = Path(__file__).parents[1] / "alerts/messages"
BASE = "https://watch.corp.example"
PAYMENTS = [
    Affected(
        id=f"sa-settlement-{number}" if number else "sa-settlement",
        owner="payments" if number < 9 else "trading",
        environment="prod",
        criticality="critical" if number < 2 else "medium",
        hosts=("api.bank.example",),
    )
    for number in range(14)
]
CONTROL = Control("NIST CSF 2.0", "PR.DS-02", "evidence", "", "NIST CSWP 29")


def incident_of(*found: Finding, receivers: tuple[str, ...] = ("soc",)) -> Incident:
    made = begin_incident(found[0])
    for one in found:
        made = take_finding(made, Entry(finding=one, severity=one.severity, receivers=receivers, controls=(CONTROL,)))
    return made


def delivery_of(event: Any, incident: Incident, reason: str, **more: Any) -> Delivery:
    return Delivery(
        id="0123456789abcdef0123456789abcdef",
        receiver="soc",
        event=event,
        reason=reason,
        incident=incident,
        decided_at=AT + timedelta(minutes=1),
        base=BASE,
        **more,
    )


def expired() -> Finding:
    return finding(
        "rrsig_expired",
        detail="signature over api.bank.example. A by key 4711 ended 2 h ago, at 2026-11-24 10:00 UTC",
        identities=tuple(PAYMENTS),
        endpoints=("api.bank.example. A", "api.bank.example. AAAA"),
        endpoint_count=2,
        evidence="4f43" + "0" * 60,
        vantages=("corp",),
    )


def storm() -> Incident:
    members = [
        incident_of(finding(zone=f"z{number}.tld{number}.", identities=(PAYMENTS[13 - number % 12],)))
        for number in range(12)
    ]
    made = Storms(5).begin(("soc", "code", "rrsig_expired"), members, Moment(AT, AT))
    for one in members:
        made = with_member(made, one, joins=True)
    return made


def drill() -> Finding:
    return finding(
        "self_test_page", zone="", cause_rrset=CAUSE, detail=DETAIL, identities=(), endpoints=(), endpoint_count=0
    )


def deliveries() -> dict[str, Delivery]:
    """Return what is shown, by name."""
    taken = Acknowledgement(by="ana", at=AT, since=AT, severity=expired().severity, why="I look")
    changed = (
        finding(
            "answer_changed", severity=expired().severity, detail="192.0.2.1 became 203.0.113.66", evidence="e" * 64
        ),
        finding("alias_exits_signed_space", detail="leads to edge7.cdn.example."),
    )
    return {
        "page": delivery_of("trigger", incident_of(expired()), "confirmed"),
        "acknowledged": delivery_of(
            "acknowledge",
            msgspec.structs.replace(incident_of(expired()), acknowledged=taken),
            "acknowledged by ana: I look",
        ),
        "resolved": delivery_of("resolve", incident_of(closed(expired())), "nothing holds it open any more"),
        "drill": delivery_of("trigger", incident_of(drill()), "confirmed"),
        "storm": delivery_of("trigger", storm(), "confirmed"),
        "alias": delivery_of("update", incident_of(*changed), "severity rose to critical", rings=True),
    }


def texts() -> dict[str, str]:
    """Return every message as it is sent, by the name of its file."""
    found = {}
    for name, delivery in deliveries().items():
        mail = make_mail(delivery, "Anchorwatch <watch@corp.example>", ("soc@corp.example",))
        head = "".join(
            f"{key}: {value}\n" for key, value in mail.items() if key not in ("Content-Type", "MIME-Version")
        )
        found[f"{name}.terminal.txt"] = screen(delivery) + "\n"
        found[f"{name}.mail.txt"] = head
        found[f"{name}.mail.html"] = make_html(delivery) + "\n"
        found[f"{name}.slack.json"] = json.dumps(make_message(delivery), indent=1, ensure_ascii=False) + "\n"
        events = [json.loads(event) for event in make_events(delivery, "R" * 32)]
        for event in events:
            event.get("payload", {}).pop("custom_details", None)
        found[f"{name}.pagerduty.json"] = json.dumps(events, indent=1, ensure_ascii=False) + "\n"
    return found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
