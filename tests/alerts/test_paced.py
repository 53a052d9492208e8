"""Over random sequences, with waits, storms, hours, escalation and people: nobody is left untold, every page ends."""

from datetime import UTC, time, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.config import AlertsConfig, Escalation, Hours, Pacing, Route
from alerts.decision.book import IncidentBook
from alerts.decision.incidents import Incident
from alerts.decision.order import Step
from alerts.decision.schedule import Weekly
from alerts.decision.timekeeping import Moment
from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.stage import REFRESH_EVERY_S
from schemas.catalogue import Severity
from schemas.messages import Act, Finding
from tests.alerts.test_silences import silence
from tests.support.desk import Desk, Recorder
from tests.support.findings import AT, PAYMENTS, closed, finding

OFFICE = Hours(name="office", windows=(Weekly(days=tuple(range(7)), begins=time(8), ends=time(20), zone=UTC),))
ROUTES = (
    Route(receiver="pager", escalate=(Escalation(after_s=900.0, receiver="boss"),)),
    Route(receiver="chat", hours=OFFICE, group_wait_s=60.0, group_by=("owner",)),
)
MILD = msgspec.structs.replace(PAYMENTS, id="sa-t", owner="trading", criticality="low")
CODES = ("rrsig_expired", "dnskey_missing", "secure_to_insecure", "alias_chain_broken")

what_happens = st.lists(
    st.one_of(
        st.tuples(st.just("found"), st.sampled_from(CODES), st.integers(0, 7), st.booleans(), st.booleans()),
        st.tuples(st.just("worse"), st.integers(0, 20)),
        st.tuples(st.just("over"), st.integers(0, 20)),
        st.tuples(st.just("silence"), st.sampled_from(("owner=trading", "code=rrsig_expired")), st.integers(1, 3)),
        st.tuples(st.just("acknowledge"), st.integers(0, 20)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("wait"), st.sampled_from((1, 9, 25, 70, 400, 4000, 40_000))),
    ),
    max_size=30,
)


class Watch:
    """A book on a clock in seconds, all that it said, and everything that was found."""

    def __init__(self) -> None:
        self.config = AlertsConfig(
            rules=(), routes=ROUTES, receivers=(), mappings=(), ledger=Path("none"), pacing=Pacing(storm=3)
        )
        self.book = IncidentBook(self.config, ["pager", "chat", "boss"])
        self.seconds, self.acts = 0.0, 0
        self.findings: list[Finding] = []
        self.silences: list[Any] = []
        self.said: list[tuple[str, str, str, Incident]] = []
        self.ended: dict[str, Incident] = {}

    def at(self, seconds: float, *batch: Finding | Act) -> None:
        self.seconds = seconds
        moment = Moment(AT + timedelta(seconds=seconds), AT + timedelta(seconds=seconds))
        findings = [one for one in batch if isinstance(one, Finding)]
        acts = [one for one in batch if isinstance(one, Act)]
        self._note(self.book.take(findings, {}, moment, acts))
        for _ in range(4):
            self._note(self.book.take([], {}, moment))

    def _note(self, step: Step) -> None:
        self.silences += step.silences
        self.said += [(one.receiver, one.event, one.incident.id, one.incident) for one in step.orders]
        self.ended |= {one.id: one for one in step.incidents if one.ended_at is not None}

    def play(self, step: tuple[Any, ...]) -> None:
        now = AT + timedelta(seconds=self.seconds)
        match step:
            case ("found", code, zone, confirmed, critical):
                self.acts += 1
                people = (PAYMENTS,) if critical else (MILD,)
                made = finding(
                    code,
                    f"z{zone}.t{zone}.",
                    opened_at=now,
                    confirmed=confirmed,
                    identities=people,
                    id=f"f{self.acts}",
                )
                self.findings.append(made)
                self.at(self.seconds, made)
            case ("worse" | "over" as what, number) if self.findings:
                place = number % len(self.findings)
                one = self.findings[place]
                if what == "worse":
                    newer = msgspec.structs.replace(
                        one, version=one.version + 1, confirmed=True, severity=Severity.CRITICAL, identities=(PAYMENTS,)
                    )
                    self.findings[place] = newer
                    self.at(self.seconds, newer)
                elif one.kind != "drift":
                    del self.findings[place]
                    self.at(self.seconds, closed(one, version=one.version + 1, at=now))
            case ("silence", matcher, hours):
                self.acts += 1
                act = silence(
                    matcher, begins=self.seconds / 3600, hours=hours, made=self.seconds / 3600, why=str(self.acts)
                )
                self.at(self.seconds, act)
            case ("acknowledge", number) if self.book.incidents:
                self.acts += 1
                key = sorted(self.book.incidents)[number % len(self.book.incidents)]
                self.at(self.seconds, Act(id=f"a{self.acts}", kind="acknowledge", by="ana", at=now, subject=key))
            case ("restart",):
                kept = list(self.book.incidents.values())
                self.book = IncidentBook(self.config, ["pager", "chat", "boss"])
                self._note(self.book.load(kept, Moment(now, now), self.silences))
            case ("wait", seconds):
                for _ in range(5):
                    self.at(self.seconds + seconds / 5)

    def knows(self, receiver: str, incident: Incident) -> bool:
        """Whether a receiver was told of an incident by itself, or by a storm that names it."""
        if receiver in incident.notified:
            return True
        storm = self.book.incidents.get(incident.storms.get(receiver, ""))
        return storm is not None and receiver in storm.notified


@settings(max_examples=100, deadline=None)
@given(what_happens)
def test_once_time_has_passed_everybody_knows_of_what_is_still_the_case(steps: list[tuple[Any, ...]]) -> None:
    watch = Watch()
    for step in steps:
        watch.play(step)
    for _ in range(16):  # silences are over, business hours come round
        watch.at(watch.seconds + 3600)

    explained = {cause for one in watch.book.incidents.values() for cause in one.explains}
    for incident in watch.book.incidents.values():
        if incident.is_storm or incident.cause in explained:
            continue
        for receiver in incident.receivers:
            assert watch.knows(receiver, incident), (receiver, incident.cause, incident.withheld)


@settings(max_examples=100, deadline=None)
@given(what_happens)
def test_every_page_has_an_end_and_none_is_opened_twice(steps: list[tuple[Any, ...]]) -> None:
    watch = Watch()
    for step in steps:
        watch.play(step)
    for one in watch.findings:
        if one.kind != "drift":
            watch.at(watch.seconds + 1, closed(one, version=one.version + 1, at=AT + timedelta(seconds=watch.seconds)))
    for _ in range(60):
        watch.at(watch.seconds + 3600)

    opened = [(receiver, key) for receiver, event, key, _ in watch.said if event == "trigger"]
    assert len(opened) == len(set(opened))
    assert not watch.book.incidents, "what is over is over, storms too"
    for receiver, key in opened:
        last = [event for told, event, about, _ in watch.said if (told, about) == (receiver, key)][-1]
        assert last in ("resolve", "update"), (receiver, key, last)


@settings(max_examples=100, deadline=None)
@given(what_happens)
def test_what_is_worse_than_a_receiver_was_told_waits_for_nothing(steps: list[tuple[Any, ...]]) -> None:
    watch = Watch()
    for step in steps:
        watch.play(step)

    for incident in watch.book.incidents.values():
        if "pager" in incident.notified and "pager" in incident.receivers:
            assert incident.severity.rank <= incident.notified["pager"].rank


class TestWhatReceiversNote:
    def test_a_thread_is_found_again_by_what_follows_and_after_a_restart(self, tmp_path: Path, clock: Any) -> None:
        desk = Desk(tmp_path, clock)
        seen: list[str] = []

        def send(delivery: Delivery, now: float) -> DeliveryOutcome:
            seen.append(delivery.incident.memos.get("pager", ""))
            return DeliveryOutcome(True, "posted", memo="thread 1")

        desk.pager.send = send  # type: ignore[method-assign]
        opened = finding()
        desk.handle(opened)
        desk.handle(finding("key_change_unexpected"))
        desk.restart()
        desk.handle(closed(opened), closed(finding("key_change_unexpected")))
        desk.clock.advance(25 * 3600)
        desk.handle()

        assert seen[0] == ""
        assert set(seen[1:]) == {"thread 1"}

    def test_who_forgets_is_told_again_every_minute_of_what_goes_on(self, tmp_path: Path, clock: Any) -> None:
        class Forgetful(Recorder):
            def __init__(self) -> None:
                super().__init__()
                self.again: list[list[str]] = []

            def refresh(self, firing: Any, now: float) -> DeliveryOutcome:
                self.again.append([one.incident.cause for one in firing])
                return DeliveryOutcome(True, "fine")

        desk = Desk(tmp_path, clock)
        desk.pager = Forgetful()
        desk.restart()
        opened = finding()
        desk.handle(opened, finding(zone="idp.example."))
        for _ in range(3):
            desk.clock.advance(REFRESH_EVERY_S)
            desk.handle()
            assert desk.stage._refreshing is not None
            desk.stage._refreshing.result(5)
        desk.handle(closed(opened))
        desk.clock.advance(REFRESH_EVERY_S)
        desk.handle()
        assert desk.stage._refreshing is not None
        desk.stage._refreshing.result(5)

        assert [sorted(one) for one in desk.pager.again[-2:]] == [["bank.example.", "idp.example."], ["idp.example."]]


@pytest.mark.parametrize("seconds", [1, 40_000])
def test_time_alone_says_nothing_of_nothing(seconds: float) -> None:
    watch = Watch()
    watch.at(seconds)

    assert watch.said == []
