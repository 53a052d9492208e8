"""The same decisions over findings of the past: what the real stage told, and what other rules would."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.config import AlertsConfig, Match, Route, Rule, RuleEffect
from alerts.decision.comparison import Comparison, Outcome, compare
from alerts.decision.rehearsal import Rehearsal, rehearse
from alerts.receivers.console import Console
from schemas.catalogue import Severity
from schemas.messages import Finding, FindingStatus, Notification, NotificationStatus
from tests.support.desk import Desk
from tests.support.findings import AT, closed, finding

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STAFF = (Console(name="pager"), Console(name="backup"))


@pytest.fixture
def desk(tmp_path: Path, clock: Any) -> Desk:
    return Desk(tmp_path, clock)


def config_of(desk: Desk, *rules: Rule, **changes: Any) -> AlertsConfig:
    return msgspec.structs.replace(desk.config, receivers=STAFF, rules=rules, **changes)


def story() -> list[Finding]:
    """A week: an outage that heals, one that lasts, a drift, and something mild."""
    outage = finding(zone="a.example.", opened_at=AT)
    unconfirmed = finding(zone="b.example.", opened_at=AT + HOUR, confirmed=False)
    confirmed = msgspec.structs.replace(
        unconfirmed, version=2, status=FindingStatus.UPDATED, confirmed=True, updated_at=AT + HOUR + 5 * MINUTE
    )
    return [
        outage,
        closed(outage, at=AT + 30 * MINUTE),
        unconfirmed,
        confirmed,
        finding("secure_to_insecure", zone="c.example.", opened_at=AT + DAY),
        finding("key_weak", zone="d.example.", opened_at=AT + DAY + HOUR),
    ]


def live(desk: Desk, versions: Sequence[Finding], until: Any) -> list[Notification]:
    """What the real stage tells of the same findings, each taken in at its time, and looked at every five minutes."""
    waiting, found = list(versions), []
    now = AT
    while now < until:
        batch = [one for one in waiting if one.updated_at <= now]
        waiting = [one for one in waiting if one.updated_at > now]
        desk.clock.seconds = now.timestamp()
        found += desk.handle(*batch)
        now += 5 * MINUTE
    return found


def outcomes(found: Sequence[Comparison]) -> list[tuple[str, str, str]]:
    return [(one.outcome.name, (one.would or one.did).cause, one.why) for one in found]  # type: ignore[union-attr]


def test_by_the_same_rules_it_would_tell_what_it_told(desk: Desk) -> None:
    told = live(desk, story(), AT + 3 * DAY)

    found = rehearse(config_of(desk), [], story(), AT, AT + 3 * DAY)

    causes = [("SAME", zone, "") for zone in ("a.example.", "b.example.", "c.example.")]
    assert outcomes(compare(found, told)) == causes
    sent = [one for one in told if one.status is NotificationStatus.SENT]
    assert Counter((one.event, one.incident.cause) for one in found.orders) == Counter(
        (one.event, one.cause_zone) for one in sent
    )
    assert {one.event for one in sent} == {"trigger", "reminder", "resolve"}


def test_what_new_rules_would_page_and_no_longer_page_comes_first_with_the_reason(desk: Desk) -> None:
    told = live(desk, story(), AT + 3 * DAY)
    rules = (
        Rule(name="weak keys matter", match=Match(code=("key_weak",)), set=RuleEffect(severity=Severity.HIGH)),
        Rule(name="not a", match=Match(zone=("a.example",)), set=RuleEffect(severity=Severity.LOW)),
        Rule(name="b goes elsewhere", match=Match(zone=("b.example",)), receiver="backup"),
        Rule(name="c is milder", match=Match(zone=("c.example",)), set=RuleEffect(severity=Severity.HIGH)),
    )

    found = compare(rehearse(config_of(desk, *rules), [], story(), AT, AT + 3 * DAY), told)

    assert outcomes(found) == [
        ("NEW", "b.example.", "confirmed"),
        ("NEW", "d.example.", "confirmed"),
        ("GONE", "a.example.", "no route for severity low"),
        ("GONE", "b.example.", "it goes to backup instead"),
        ("DIFFERS", "c.example.", "severity high instead of critical"),
    ]


def test_what_was_open_at_the_beginning_counts_as_told(desk: Desk) -> None:
    old = finding(zone="old.example.", opened_at=AT - DAY)
    over = closed(old, at=AT + HOUR)

    found = rehearse(config_of(desk), [old], [over], AT, AT + DAY)

    assert [(order.event, order.incident.cause) for order in found.orders] == [("resolve", "old.example.")]


def test_what_gets_worse_is_told_though_it_was_open_at_the_beginning(desk: Desk) -> None:
    old = finding(zone="old.example.", opened_at=AT - DAY, severity=Severity.HIGH)
    worse = msgspec.structs.replace(old, version=2, severity=Severity.CRITICAL, updated_at=AT + HOUR)

    (one,) = compare(rehearse(config_of(desk), [old], [worse], AT, AT + DAY), [])

    assert one.outcome is Outcome.NEW
    assert one.would is not None
    assert (one.would.at, one.would.severity) == (AT + HOUR, Severity.CRITICAL)


def test_a_month_without_findings_is_silent(desk: Desk) -> None:
    assert rehearse(config_of(desk), [], [], AT, AT + 30 * DAY) == Rehearsal()


def test_a_receiver_that_failed_is_said_to_be_no_finding_of_the_history(desk: Desk) -> None:
    told = live(desk, story(), AT + 10 * MINUTE)
    (one,) = compare(rehearse(config_of(desk), [], [], AT, AT + DAY), told)

    assert one.outcome is Outcome.GONE
    assert "the history has no such finding" in one.why


def test_incidents_that_other_rules_group_otherwise_are_matched_by_their_findings(desk: Desk) -> None:
    told = live(desk, story(), AT + 3 * DAY)
    renamed = [msgspec.structs.replace(one, incident=f"other {one.incident}") for one in told]

    found = compare(rehearse(config_of(desk), [], story(), AT, AT + 3 * DAY), renamed)

    assert {one.outcome for one in found} == {Outcome.SAME}


def test_pages_at_other_times_differ(desk: Desk) -> None:
    told = [msgspec.structs.replace(one, at=one.at + HOUR) for one in live(desk, story(), AT + 10 * MINUTE)]

    (one,) = compare(rehearse(config_of(desk), [], story()[:1], AT, AT + 10 * MINUTE), told)

    assert (one.outcome, one.why) == (Outcome.DIFFERS, "at 2026-11-24 12:00 instead of 2026-11-24 13:00 UTC")


def test_what_is_reported_of_a_time_before_the_last_does_not_turn_time_back(desk: Desk) -> None:
    early, late = finding(zone="a.example.", opened_at=AT), finding(zone="b.example.", opened_at=AT + HOUR)
    routes = (Route(match=Match(), receiver="pager"),)

    found = rehearse(config_of(desk, routes=routes), [], [late, early], AT, AT + 2 * HOUR)

    assert [order.decided_at for order in found.orders] == [AT + HOUR, AT + HOUR]
