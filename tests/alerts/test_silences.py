"""Silences: what they withhold, what they never do, and what goes out when they end."""

from collections.abc import Sequence
from datetime import UTC, time, timedelta
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.config import AlertsConfig
from alerts.decision.book import IncidentBook
from alerts.decision.incidents import SILENCED, Incident
from alerts.decision.matchers import parse_matchers
from alerts.decision.order import Step
from alerts.decision.schedule import Weekly
from alerts.decision.silences import Maintenance, make_silence
from alerts.decision.timekeeping import Moment
from schemas.catalogue import Severity
from schemas.messages import Act, Finding
from tests.alerts.test_book import ROUTES, at, make_book, said
from tests.support.desk import Desk
from tests.support.findings import AT, PAYMENTS, closed, finding

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(tmp_path: Any, clock: Any) -> Desk:
    return Desk(tmp_path, clock)


def silence(*matchers: str, hours: float = 2, begins: float = 0, made: float = 0, **more: Any) -> Act:
    begins_at, ends_at = AT + begins * HOUR, AT + (begins + hours) * HOUR
    words = {"by": "ana", "why": "patches", "source": "test", **more}
    return make_silence(matchers, begins_at, ends_at, at=AT + made * HOUR, **words)


def expiry(act: Act, hours: float) -> Act:
    return Act(id=f"end {act.id}", kind="expire_silence", by="bo", at=AT + hours * HOUR, subject=act.id)


def events(desk: Desk) -> list[str]:
    return [event for event, _ in desk.pager.told]


def test_what_is_silenced_pages_nobody_and_is_visible_with_its_reason(desk: Desk) -> None:
    desk.do(silence("owner=payments"))
    (withheld,) = desk.handle(finding())

    assert (withheld.status, withheld.reason) == (
        "withheld",
        "silenced by ana until 2026-11-24 14:00 UTC: patches",
    )
    (incident,) = desk.ledger.open_incidents()
    assert [str(entry.silenced) for entry in incident.entries.values()] == [withheld.reason]
    assert incident.withheld == withheld.reason
    assert events(desk) == []


def test_when_it_ends_while_it_is_still_the_case_the_page_goes_out_and_says_so(desk: Desk) -> None:
    desk.do(silence("owner=payments"))
    desk.handle(finding())
    desk.clock.advance(2 * 3600)
    desk.handle()

    assert events(desk) == ["trigger"]
    assert desk.pager.bodies[0]["reason"] == (
        "confirmed; until now silenced by ana until 2026-11-24 14:00 UTC: patches"
    )


def test_what_is_over_when_it_ends_is_told_to_nobody(desk: Desk) -> None:
    opened = finding()
    desk.do(silence("owner=payments"))
    desk.handle(opened)
    desk.handle(closed(opened))
    desk.clock.advance(3 * 3600)
    desk.handle()

    assert events(desk) == []


def test_it_is_ended_early_by_its_id_and_survives_a_restart(desk: Desk) -> None:
    act = silence("owner=payments")
    desk.do(act)
    desk.restart()
    desk.handle(finding())
    assert events(desk) == []

    desk.do(expiry(act, 0.5))
    assert events(desk) == ["trigger"]
    desk.restart()
    (kept,) = desk.ledger.silences()
    assert (kept.id, kept.by, kept.why, kept.expired_by) == (act.id, "ana", "patches", "bo")
    desk.do(act)
    desk.handle(finding(zone="idp.example."))
    assert events(desk) == ["trigger", "trigger"], "the act that was handled before silences nothing again"


def test_one_that_covers_a_part_of_an_incident_leaves_the_rest_a_page_that_shows_it(desk: Desk) -> None:
    desk.do(silence("code=rrsig_missing"))
    desk.handle(finding("rrsig_missing"), finding("alias_chain_broken"))

    assert events(desk) == ["trigger"]
    assert desk.pager.bodies[0]["severity"] == "high", "what is silenced makes no page graver"
    shown = {one["code"]: one["silenced"] for one in desk.pager.bodies[0]["findings"]}
    assert shown == {"rrsig_missing": "silenced by ana until 2026-11-24 14:00 UTC: patches", "alias_chain_broken": ""}

    desk.clock.advance(2 * 3600)
    desk.handle()
    assert events(desk) == ["trigger", "update"]
    assert "severity rose to critical" in desk.pager.bodies[1]["reason"]


def test_an_identity_of_another_owner_that_joins_ends_the_silence_for_its_finding(desk: Desk) -> None:
    opened = finding()
    desk.do(silence("owner=payments"))
    desk.handle(opened)
    other = msgspec.structs.replace(PAYMENTS, id="sa-trade", owner="trading")
    desk.handle(msgspec.structs.replace(opened, version=2, identities=(PAYMENTS, other)))

    assert events(desk) == ["trigger"]


def test_after_the_page_it_withholds_reminders_and_the_next_comes_when_it_ends(desk: Desk) -> None:
    desk.handle(finding())
    desk.do(silence("owner=payments", hours=24))
    for _ in range(23):
        desk.clock.advance(3600)
        desk.handle()
    assert events(desk) == ["trigger"]
    assert desk.ledger.notifications(1)[0].reason.startswith(SILENCED), "that is on record, too"

    desk.clock.advance(3600)
    desk.handle()
    assert events(desk) == ["trigger", "reminder"]
    assert desk.pager.bodies[1]["reason"].startswith("still open; until now silenced by ana")


def test_the_end_of_an_incident_is_told_though_it_is_silenced(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)
    desk.do(silence("owner=payments"))
    desk.handle(closed(opened))

    assert events(desk) == ["trigger", "resolve"]


def test_a_silence_that_lies_ahead_counts_from_then_on(desk: Desk) -> None:
    desk.do(silence("owner=payments", begins=1))
    desk.handle(finding())
    assert events(desk) == ["trigger"]
    desk.clock.advance(3600)
    desk.handle(finding(zone="idp.example."))

    assert events(desk) == ["trigger"]


@pytest.mark.parametrize(
    "act",
    [
        silence("owner=payments", hours=31 * 24),
        silence("owner=payments", hours=-1),
        silence("owner=payments", begins=-3, hours=2),
        silence("owner=payments", begins=400 * 24),
        silence("owner=payments", why=""),
        silence("owner=payments", by=""),
        silence("owner=payments", by="a\x1b[2J"),
        silence(),
        silence("team=payments"),
        msgspec.structs.replace(silence("owner=payments"), begins_at=None),
    ],
    ids=["too long", "turned round", "over", "far ahead", "no reason", "nobody", "control", "all", "label", "no begin"],
)
def test_an_act_that_is_no_silence_has_no_effect_whoever_wrote_it_to_the_bus(desk: Desk, act: Act) -> None:
    desk.do(act)
    desk.handle(finding())

    assert events(desk) == ["trigger"]
    assert desk.ledger.silences() == []


def test_overlapping_silences_hold_until_the_last_of_them_ends() -> None:
    book = make_book("pager")
    acts = [silence("owner=payments", hours=1), silence("code=rrsig_expired", hours=3, by="bo")]
    book.take([finding()], {}, at(), acts)

    assert said(book.take([], {}, at(1.5))) == []
    assert said(book.take([], {}, at(3))) == [("pager", "trigger", "bank.example.")]


def test_a_clock_that_is_set_back_prolongs_no_silence() -> None:
    book = make_book("pager")
    book.take([finding()], {}, at(), [silence("owner=payments", hours=2)])

    assert said(book.take([], {}, at(1.9, wall=0.1))) == []
    assert said(book.take([], {}, at(2.1, wall=0.3))) == [("pager", "trigger", "bank.example.")]


def test_before_it_begins_by_the_clock_it_silences_nothing() -> None:
    book = make_book("pager")
    book.take([finding()], {}, at(), [silence("owner=payments")])

    assert said(book.take([], {}, at(0.5, wall=-5))) == [("pager", "trigger", "bank.example.")]


def test_the_book_says_when_a_silence_begins_or_ends() -> None:
    book = make_book("pager")
    book.take([], {}, at(), [silence("owner=payments", begins=1, hours=1)])

    assert book.next_due_at() == AT + HOUR
    book.take([], {}, at(1))
    assert book.next_due_at() == AT + 2 * HOUR


def nightly(**more: Any) -> Maintenance:
    schedule = Weekly(days=(1,), begins=time(12, 30), lasts=HOUR, zone=UTC)  # AT is a Tuesday, 12:00
    return Maintenance(name="patches", matchers=parse_matchers(["environment=prod"]), schedule=schedule, **more)


def test_a_maintenance_window_withholds_on_its_schedule_and_pages_what_is_left() -> None:
    book = make_book("pager", maintenance=(nightly(why="weekly"),))
    assert book.next_due_at() is None
    book.take([], {}, at())
    assert book.next_due_at() == AT + HOUR / 2

    step = book.take([finding()], {}, at(0.75))
    assert said(step) == []
    assert step.withheld[0].reason == "silenced by maintenance patches until 2026-11-24 13:30 UTC: weekly"
    assert said(book.take([], {}, at(1.5))) == [("pager", "trigger", "bank.example.")]
    week = 7 * 24 + 0.75
    assert said(book.take([finding(zone="idp.example.", opened_at=AT + week * HOUR)], {}, at(week))) == []


# Three invariants over random sequences: of findings, silences, acknowledgements, and time that passes.

ZONES = ("bank.example.", "idp.example.", "a.bank.example.")
CODES = ("rrsig_expired", "dnskey_missing", "secure_to_insecure", "alias_chain_broken")
MATCHERS = ("owner=payments", "zone=bank.example", "code=dnskey_missing", "severity=high", "code=~.*", "vantage!=corp")
OWNERS = (PAYMENTS, msgspec.structs.replace(PAYMENTS, id="sa-t", owner="trading", criticality="low"))

steps_strategy = st.lists(
    st.one_of(
        st.tuples(
            st.just("finding"), st.sampled_from(CODES), st.sampled_from(ZONES), st.booleans(), st.sampled_from((1, 2))
        ),
        st.tuples(st.just("close"), st.integers(0, 20)),
        st.tuples(st.just("silence"), st.sampled_from(MATCHERS), st.integers(1, 12)),
        st.tuples(st.just("expire"), st.integers(0, 10)),
        st.tuples(st.just("acknowledge"), st.integers(0, 10)),
        st.tuples(st.just("reopen"), st.integers(0, 10)),
        st.tuples(st.just("wait"), st.integers(1, 30)),
    ),
    max_size=25,
)


class Story:
    """One book and what it said; ``with_people`` is whether silences and acknowledgements reach it."""

    def __init__(self, *, with_people: bool) -> None:
        self.book, self.with_people = make_book(), with_people
        self.now = 0.0
        self.findings: list[Finding] = []
        self.silences: list[Act] = []
        self.steps: list[Step] = []
        self.acts = 0
        self.ended: dict[str, Incident] = {}
        self.told: dict[str, set[str]] = {}
        self.resolved: dict[str, set[str]] = {}

    def play(self, steps: Sequence[tuple[Any, ...]]) -> None:
        for step in steps:
            self._play(step)
            self._settle()

    def _play(self, step: tuple[Any, ...]) -> None:
        self.now += 0.01
        match step:
            case ("finding", code, zone, confirmed, owners):
                opened_at = AT + self.now * HOUR
                self.findings.append(
                    finding(code, zone, opened_at=opened_at, confirmed=confirmed, identities=OWNERS[:owners])
                )
                self.take([self.findings[-1]])
            case ("close", number) if self.findings:
                one = self.findings.pop(number % len(self.findings))
                if one.kind != "drift":
                    self.take([closed(one, at=AT + self.now * HOUR)])
            case ("silence", matcher, hours):
                self.acts += 1
                self.silences.append(
                    silence(matcher, begins=self.now, hours=hours, made=self.now, why=f"reason {self.acts}")
                )
                self.take([], self.silences[-1])
            case ("expire", number) if self.silences:
                self.take([], expiry(self.silences.pop(number % len(self.silences)), self.now))
            case ("acknowledge" | "reopen" as kind, number) if self.book.incidents:
                self.acts += 1
                key = sorted(self.book.incidents)[number % len(self.book.incidents)]
                self.take([], Act(id=f"act {self.acts}", kind=kind, by="ana", at=AT, subject=key))
            case ("wait", hours):
                self.now += hours
                self.take([])

    def take(self, findings: list[Finding], *acts: Act) -> None:
        given = acts if self.with_people else ()
        self._note(self.book.take(findings, {}, at(self.now), given))

    def _settle(self) -> None:
        for _ in range(5):
            self._note(self.book.take([], {}, at(self.now)))

    def _note(self, step: Step) -> None:
        self.steps.append(step)
        for incident in step.incidents:
            if incident.ended_at is not None:
                self.ended[incident.id] = incident
        for order in step.orders:
            if order.event in ("trigger", "update", "reminder"):
                assert order.incident.receivers or step is None or order.incident.id in self.ended, "nothing audible"
                self.told.setdefault(order.incident.id, set()).add(order.receiver)
            if order.event == "resolve" or order.incident.id in self.ended:
                self.resolved.setdefault(order.incident.id, set()).add(order.receiver)


def incidents_of(story: Story) -> dict[str, set[str]]:
    open_ones = story.book.incidents
    return {key: set(open_ones[key].entries) for key in open_ones} | {
        key: set(one.entries) for key, one in story.ended.items()
    }


@settings(max_examples=150, deadline=None)
@given(steps_strategy)
def test_suppression_stops_alerting_never_monitoring(steps: list[tuple[Any, ...]]) -> None:
    with_people, without = Story(with_people=True), Story(with_people=False)
    with_people.play(steps)
    without.play(steps)

    taken = [[one.id for step in story.steps for one in step.taken] for story in (with_people, without)]
    assert taken[0] == taken[1]
    # Who was told decides only how long an unrouted remark holds an incident: every finding is in one either way.
    entries = [{key for keys in incidents_of(story).values() for key in keys} for story in (with_people, without)]
    assert entries[0] == entries[1]


@settings(max_examples=150, deadline=None)
@given(steps_strategy)
def test_suppression_stops_creation_never_resolution(steps: list[tuple[Any, ...]]) -> None:
    story = Story(with_people=True)
    story.play(steps)

    for key in story.ended:
        assert story.told.get(key, set()) <= story.resolved.get(key, set())


@settings(max_examples=150, deadline=None)
@given(steps_strategy)
def test_what_is_suppressed_is_visible_with_its_reason(steps: list[tuple[Any, ...]]) -> None:
    story = Story(with_people=True)
    story.play(steps)

    recorded = {one.reason for step in story.steps for one in step.withheld}
    for incident in story.book.incidents.values():
        for name, silenced in incident.silenced.items():
            assert str(silenced) in (incident.withheld, *incident.muted.values()), name
            assert str(silenced) in recorded
        for entry in incident.entries.values():
            if entry.is_audible:
                unheard = set(entry.receivers) - set(incident.notified)
                assert not unheard or incident.withheld or incident.id in explained(story), "withheld without a word"
        assert incident.notified or incident.withheld


def explained(story: Story) -> set[str]:
    causes = {cause for one in story.book.incidents.values() for cause in one.explains}
    return {one.id for one in story.book.incidents.values() if one.cause in causes}


@settings(max_examples=100, deadline=None)
@given(steps_strategy)
def test_once_nothing_is_silenced_everybody_knows_of_what_is_still_the_case(steps: list[tuple[Any, ...]]) -> None:
    story = Story(with_people=True)
    story.play([*steps, *[("expire", 0)] * 25, ("wait", 20)])

    for incident in story.book.incidents.values():
        unheard = set(incident.receivers) - set(incident.notified)
        assert not unheard or incident.id in explained(story)


def test_of_five_thousand_open_incidents_a_silence_is_weighed_in_time() -> None:
    config = AlertsConfig(rules=(), routes=ROUTES, receivers=(), mappings=(), ledger=None)  # type: ignore[arg-type]
    book = IncidentBook(config, ["pager", "chat"])
    moment = Moment(AT, AT)
    book.take([finding(zone=f"z{number}.example.", confirmed=False) for number in range(5000)], {}, moment)
    assert Severity.CRITICAL in {one.severity for one in book.incidents.values()}

    began = process_time()
    book.take([], {}, at(0.1), [silence("zone=z7.example")])
    silencing = process_time() - began
    began = process_time()
    for number in range(50):
        book.take([finding(zone=f"z{number}.example.", confirmed=False, version=2)], {}, at(0.2))
    each = (process_time() - began) / 50

    assert silencing < 2.0
    assert each < 0.01, f"{each * 1000:.1f} ms a batch"
