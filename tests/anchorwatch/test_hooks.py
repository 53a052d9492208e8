"""PagerDuty says who acknowledged: signed, about incidents of ours, once."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.decision.deeds import source_of_receiver
from alerts.decision.incidents import Entry, begin_incident, take_finding
from alerts.ledger.sqlite import SqliteLedger
from schemas.catalogue import Severity
from schemas.messages import Act
from tests.anchorwatch.test_doors import EVERYWHERE, LOCAL, app_of, ask
from tests.support.desk import Desk
from tests.support.findings import AT, finding

SECRET = "wh-s3cret"
OPENED = finding()
INCIDENT = take_finding(begin_incident(OPENED), Entry(finding=OPENED, severity=Severity.CRITICAL, receivers=("soc",)))


def event(kind: str = "incident.acknowledged", key: str = f"aw:{INCIDENT.id}", **more: Any) -> bytes:
    data = {"id": "PGR0VU2", "type": "incident", "status": "acknowledged", "incident_key": key}
    body = {"id": "01BX", "event_type": kind, "data": data, "agent": {"summary": "Ana Prime"}, **more}
    return json.dumps({"event": body}).encode()


class Phone:
    """A door that takes PagerDuty's calls for receiver ``soc``."""

    def __init__(self, folder: Path, config: Any = LOCAL) -> None:
        self.sent: list[Act] = []
        self.ledger = SqliteLedger(folder / "alerts.sqlite")
        self.ledger.commit(incidents=[INCIDENT])

        async def send(acts: Any) -> None:
            self.sent.extend(acts)

        self.app = app_of(config, ledger=self.ledger, act=send, hooks={"soc": f"{SECRET}\nold-s3cret"})

    def call(self, body: bytes, secret: str = SECRET, receiver: str = "soc", **headers: str) -> int:
        signature = "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        given = {"x_pagerduty_signature": f"v1=00,{signature}", **headers}
        return int(ask(self.app, f"/api/v1/hooks/pagerduty/{receiver}", "POST", body, **given).status)


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path)


def test_an_acknowledgement_there_is_one_here(phone: Phone) -> None:
    assert phone.call(event()) == 202
    assert phone.call(event(), "old-s3cret") == 202
    first, again = phone.sent

    assert (first.kind, first.by, first.subject, first.source) == (
        "acknowledge",
        "Ana Prime",
        INCIDENT.id,
        "receiver soc",
    )
    assert again.id == first.id, "told twice it is one act"


def test_an_alert_that_rang_again_is_the_same_incident(phone: Phone) -> None:
    phone.call(event(key=f"aw:{INCIDENT.id}:2"))

    assert phone.sent[0].subject == INCIDENT.id


def test_what_is_resolved_there_while_it_lasts_is_somebodys_and_goes_on(phone: Phone) -> None:
    phone.call(event("incident.resolved"))

    assert (phone.sent[0].kind, phone.sent[0].why) == ("acknowledge", "resolved at PagerDuty, and still the case here")


@pytest.mark.parametrize(
    "body",
    [
        event("incident.priority_updated"),
        event("incident.acknowledged", "somebody else's key"),
        event("incident.acknowledged", "aw:" + "0" * 32),
        event("incident.unacknowledged"),
    ],
    ids=["another event", "not ours", "never sent", "nobody had it"],
)
def test_what_is_nothing_of_ours_is_taken_and_does_nothing(phone: Phone, body: bytes) -> None:
    assert phone.call(body) == 202
    assert phone.sent == []


@pytest.mark.parametrize(
    ("secret", "receiver", "body", "status"),
    [
        ("wrong", "soc", event(), 401),
        (SECRET, "chat", event(), 404),
        (SECRET, "soc", b"{}", 400),
        (SECRET, "soc", b"[" * 100_000, 400),
        (SECRET, "soc", b"x" * 300_000, 413),
    ],
    ids=["signature", "receiver", "no event", "nested", "too long"],
)
def test_whoever_else_calls_is_refused(phone: Phone, secret: str, receiver: str, body: bytes, status: int) -> None:
    assert phone.call(body, secret, receiver) == status
    assert phone.sent == []


def test_the_signature_stands_for_the_token(tmp_path: Path) -> None:
    phone = Phone(tmp_path, EVERYWHERE)

    assert phone.call(event(), host="watch.corp.example") == 202
    assert phone.call(event(), "wrong", host="watch.corp.example") == 401


def test_who_acknowledged_there_is_not_told_so_there(tmp_path: Path, clock: Any) -> None:
    desk = Desk(tmp_path, clock)
    desk.handle(finding())
    (incident,) = desk.ledger.open_incidents()
    act = Act(id="1", kind="acknowledge", by="ana", at=AT, subject=incident.id, source=source_of_receiver("pager"))
    desk.do(act)
    desk.do(msgspec.structs.replace(act, id="2", by="bo", source="API"))

    assert [event for event, _ in desk.pager.told] == ["trigger", "acknowledge"]
    assert "acknowledged by bo" in desk.pager.bodies[-1]["reason"]
