"""Events as OCSF 1.8.0 has them: every code, over its whole life, against the published schema."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from alerts.decision.incidents import Entry as IncidentEntry
from alerts.decision.incidents import Incident, Silenced, begin_incident, take_finding
from alerts.decision.life import Acknowledgement
from alerts.decision.order import Order
from alerts.delivery.ocsf import COMPLIANCE, DETECTION, POSTURE, make_event
from schemas.catalogue import CATALOGUE, ROWS, Kind, Severity
from schemas.messages import Finding
from tests.support.findings import AT, closed, finding
from tests.support.messages import BASE, CONTROL, PAYMENTS
from tests.support.ocsf import problems

CODES = [row.code for row in ROWS if row.kind is not Kind.REASON]
SILENCED = Silenced(id="s", by="ana", why="they move", until=AT + timedelta(hours=2))
TAKEN = Acknowledgement(by="bo", at=AT, since=AT, severity=Severity.CRITICAL, why="I look")


def order_of(one: Finding, event: Any = "trigger", *, entry: Any = None, **incident: Any) -> Order:
    held = IncidentEntry(finding=one, severity=one.severity, receivers=("soc",), controls=(CONTROL,), **(entry or {}))
    made: Incident = msgspec.structs.replace(take_finding(begin_incident(one), held), **incident)
    return Order(
        id="0123456789abcdef0123456789abcdef",
        receiver="siem",
        event=event,
        reason="",
        incident=made,
        decided_at=AT + timedelta(seconds=5),
        base=BASE,
        finding=one.id,
    )


def whole(code: str) -> Finding:
    return finding(
        code,
        cause_rrset="api.bank.example. A",
        before="192.0.2.1",
        after="203.0.113.66",
        evidence="e" * 64,
        vantages=("corp",),
        servers=("192.0.2.53",),
        identities=tuple(PAYMENTS),
        endpoints=tuple(f"host{n}.bank.example. A" for n in range(30)),
        endpoint_count=30,
    )


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_valid_over_its_whole_life(code: str) -> None:
    one = whole(code)
    life = [
        order_of(one),
        order_of(one, "update", entry={"silenced": SILENCED}),
        order_of(one, "update", acknowledged=TAKEN),
        order_of(closed(one), "resolve"),
        order_of(finding(code, zone="", identities=(), endpoints=(), endpoint_count=0, detail="")),
    ]

    for order in life:
        event = json.loads(msgspec.json.encode(make_event(order)))
        assert list(problems(event)) == []
    assert len({make_event(order)["finding_info"]["uid"] for order in life[:4]}) == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"finding_info": {"title": "x"}}, "finding_info.uid: it is missing"),
        ({"severity_id": 7}, "severity_id: 7 is none of its values"),
        ({"severity": "Bad"}, "severity: 'Bad' is not 'Critical'"),
        ({"time": 1_700_000_000}, "time: 1700000000 is not in milliseconds"),
        ({"type_uid": 200402}, "type_uid: it is not class_uid * 100 + activity_id"),
        ({"zone": "x"}, "zone: it is not known"),
        ({"resources": [{"type": "DNS zone"}]}, "resources.: one of ['name', 'uid'] is missing"),
        ({"resources": {}}, "resources: it is no list"),
        ({"class_uid": 1}, "class_uid: 1 is no class"),
    ],
)
def test_the_schema_refuses_what_is_wrong(wrong: dict[str, Any], why: str) -> None:
    assert why in list(problems({**make_event(order_of(finding())), **wrong}))


def test_posture_is_held_against_controls_and_passes_once_it_is_seen_to_be_over() -> None:
    one = finding("key_weak")
    firing, over = make_event(order_of(one)), make_event(order_of(closed(one), "resolve"))
    left = msgspec.structs.replace(closed(one), closed_because="no longer watched")

    assert (firing["class_uid"], firing["type_uid"]) == (COMPLIANCE[0], 200301)
    assert firing["compliance"]["requirements"] == ["NIST CSF 2.0 PR.DS-02"]
    assert [one["compliance"]["status"] for one in (firing, over)] == ["Fail", "Pass"]
    assert make_event(order_of(left, "resolve"))["compliance"]["status"] == "Unknown"
    assert make_event(order_of(finding()))["class_uid"] == DETECTION[0]


def test_posture_is_of_states_that_the_catalogue_has() -> None:
    assert {CATALOGUE[code].kind for code in POSTURE} == {Kind.STATE}
    assert all(CATALOGUE[code].severity is not Severity.CRITICAL for code in POSTURE)


def test_where_a_finding_stands_is_its_status_with_the_reason() -> None:
    one = finding()
    accepted = msgspec.structs.replace(closed(one), closed_because="accepted by ana: planned", accepted_by="ana")
    left = msgspec.structs.replace(closed(one), closed_because="no longer watched")
    orders = [
        order_of(one),
        order_of(one, entry={"silenced": SILENCED}, acknowledged=TAKEN),
        order_of(one, acknowledged=TAKEN),
        order_of(closed(one), "resolve"),
        order_of(accepted, "resolve"),
        order_of(left, "resolve"),
        order_of(one, withheld="explained by the open incident on example."),
        order_of(finding(confirmed=False)),
    ]

    shown = [(event["status"], event.get("status_detail", "")) for event in map(make_event, orders)]

    assert shown == [
        ("New", ""),
        ("Suppressed", "silenced by ana until 2026-11-24 14:00 UTC: they move"),
        ("In Progress", "acknowledged by bo: I look"),
        ("Resolved", ""),
        ("Suppressed", "accepted by ana: planned"),
        ("Archived", "no longer watched"),
        ("New", "not paged: explained by the open incident on example."),
        ("New", "not paged: not yet confirmed by further polls"),
    ]
    assert [make_event(order)["is_alert"] for order in orders[:2]] == [True, False]


def test_what_dns_says_reaches_nobody_as_control_characters() -> None:
    text = msgspec.json.encode(make_event(order_of(finding(detail="a\x1b[2Jb\nc\u202e", before="\x00", after="\x07"))))

    assert b"\\u00" not in text
    assert "\u202e".encode() not in text
