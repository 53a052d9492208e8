"""One receiver can't hurt another, nor the decisions; what is refused is told elsewhere at once, and tried again."""

import asyncio
import itertools
import logging
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.outbox import BACKOFF_S, REFUSED_BACKOFF_S, choose_lanes, pause_after, settle
from alerts.delivery.sending import Sender
from alerts.ledger.sqlite import SqliteLedger
from alerts.stage import Alerts
from schemas.catalogue import Severity
from tests.support.clock import ManualClock
from tests.support.desk import Desk, Recorder
from tests.support.findings import AT, closed, finding

REFUSED = DeliveryOutcome(False, "HTTP 404: no such hook", retry=False)
UNFIT = DeliveryOutcome(False, "HTTP 400: invalid event", retry=False, unfit=True)
SOON_S = 5.0


class Stuck(Recorder):
    """A receiver that answers nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on, self.begun = threading.Event(), threading.Event()

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        self.begun.set()
        self.goes_on.wait(20)
        return super().send(delivery, now)


@pytest.fixture
def desk(tmp_path: Path, clock: Any) -> Desk:
    return Desk(tmp_path, clock)


def told_of(receiver: Recorder, cause: str) -> list[str]:
    return [event for event, about in receiver.told if about == cause]


def test_a_receiver_that_hangs_delays_neither_decisions_nor_another_receiver(desk: Desk) -> None:
    stuck = Stuck()
    routes = (*desk.config.routes, msgspec.structs.replace(desk.config.routes[0], receiver="backup"))
    desk.config = msgspec.structs.replace(desk.config, routes=routes)
    desk.stage = Alerts(desk.config, desk.ledger, {"pager": stuck, "backup": desk.backup}, desk.clock, patience_s=0.05)

    async def story() -> None:
        for zone in ("a.example.", "b.example.", "c.example."):
            await desk.stage.handle([finding(zone=zone)])
        while len(desk.backup.told) < 3:
            await desk.stage.handle([])

    asyncio.run(asyncio.wait_for(story(), SOON_S))

    assert sorted(about for _, about in desk.backup.told) == ["a.example.", "b.example.", "c.example."]
    assert stuck.told == []
    stuck.goes_on.set()


def test_what_came_of_a_slow_delivery_is_settled_by_a_later_batch(desk: Desk) -> None:
    stuck = Stuck()
    desk.stage = Alerts(desk.config, desk.ledger, {"pager": stuck}, desk.clock, patience_s=0.0)

    async def story() -> list[Any]:
        said = list(await desk.stage.handle([finding()]))
        assert said == []
        assert desk.ledger.pending() == 1
        stuck.goes_on.set()
        while not said:
            said += await desk.stage.handle([])
            await asyncio.sleep(0.01)
        return said

    (sent,) = asyncio.run(asyncio.wait_for(story(), SOON_S))

    assert (sent.status, sent.receiver, sent.attempts) == ("sent", "pager", 1)
    assert desk.ledger.pending() == 0
    assert len(stuck.ids) == 1, "what is under way is not begun again"


def test_the_end_waits_for_what_is_quick_and_leaves_the_rest_to_the_next_process(desk: Desk) -> None:
    stuck = Stuck()
    desk.stage = Alerts(desk.config, desk.ledger, {"pager": stuck}, desk.clock, patience_s=0.0)

    async def story() -> None:
        await desk.stage.handle([finding()])
        async with asyncio.timeout(SOON_S):
            await desk.stage.finish()

    asyncio.run(story())
    assert desk.ledger.pending() == 1

    desk.restart()
    desk.handle()
    stuck.goes_on.set()
    assert desk.pager.told == [("trigger", "bank.example.")]


def test_what_a_receiver_refuses_is_told_elsewhere_at_once(desk: Desk) -> None:
    desk.pager.outcomes = [REFUSED]

    desk.handle(finding())

    assert told_of(desk.backup, "pager") == ["trigger"], "that it is refused"
    assert told_of(desk.backup, "bank.example.") == ["trigger"], "and what was refused"
    assert "no such hook" in desk.stage.failing["pager"]
    assert "bank.example." not in desk.stage.failing["pager"], "health answers anybody"
    failed = next(entry for i in desk.ledger.open_incidents() for entry in i.entries.values() if i.cause == "pager")
    assert "bank.example" in failed.finding.detail, "whoever reads it learns what was not delivered"


def test_what_is_refused_is_tried_again_at_growing_distance_while_its_incident_is_open(desk: Desk) -> None:
    desk.pager.outcomes = [REFUSED] * 200
    desk.handle(finding())
    tries_at = [desk.clock()]
    for _ in range(3 * 3600 // 30):
        desk.clock.advance(30)
        before = len(desk.pager.ids)
        desk.handle()
        tries_at += [desk.clock()] * (len(desk.pager.ids) - before)

    distances = [later - earlier for earlier, later in itertools.pairwise(tries_at)]
    assert distances == sorted(distances)
    assert distances[0] <= 60
    assert 600 <= distances[-1] <= 3600
    assert len(set(desk.pager.ids)) == 1

    desk.pager.outcomes = []
    desk.clock.advance(3600)
    desk.handle()
    assert desk.pager.told[0] == ("trigger", "bank.example.")
    desk.handle()
    assert desk.stage.failing == {}


def test_a_refusal_of_one_page_holds_up_no_other(desk: Desk) -> None:
    desk.pager.outcomes = [REFUSED]

    desk.handle(finding(zone="a.example."), finding(zone="b.example."))
    desk.handle()

    assert told_of(desk.pager, "b.example.") == ["trigger"]


def test_a_page_that_breaks_the_receiver_mutes_no_other(desk: Desk) -> None:
    """The first page is answered with 500 for ever, the others would be taken."""

    class Breaks(Recorder):
        def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
            if delivery.incident.cause == "a.example.":
                return DeliveryOutcome(False, "HTTP 500")
            return super().send(delivery, now)

    pager = Breaks()
    desk.stage = desk.staffed({"pager": pager, "backup": desk.backup})
    desk.handle(finding(zone="a.example."))
    for number in range(6):
        desk.handle(finding(zone=f"b{number}.example."))
        desk.clock.advance(30)
        desk.handle()
    desk.clock.advance(300)
    desk.handle()

    assert len(pager.told) == 6


def test_new_pages_go_elsewhere_while_their_receiver_is_known_to_fail(tmp_path: Path, clock: Any) -> None:
    desk = Desk(tmp_path, clock, max_attempts=2)
    desk.pager.outcomes = [DeliveryOutcome(False, "no answer: ConnectTimeoutError")] * 50
    desk.handle(finding(zone="a.example."))
    desk.clock.advance(10)
    desk.handle()
    assert told_of(desk.backup, "a.example.") == ["trigger"]

    opened = finding(zone="b.example.")
    desk.handle(opened)
    assert told_of(desk.backup, "b.example.") == ["trigger"]
    desk.handle(closed(opened))
    assert told_of(desk.backup, "b.example.") == ["trigger", "resolve"], "whoever was told hears the end"


def test_what_waited_behind_a_failing_receiver_goes_elsewhere_when_it_is_given_up_on(
    tmp_path: Path, clock: Any
) -> None:
    desk = Desk(tmp_path, clock, max_attempts=3)
    desk.pager.outcomes = [DeliveryOutcome(False, "down")] * 50
    desk.handle(finding(zone="a.example."), finding(zone="b.example."))
    for _ in range(4):
        desk.clock.advance(60)
        desk.handle()

    assert told_of(desk.backup, "a.example.") == told_of(desk.backup, "b.example.") == ["trigger"]


def test_with_no_other_receiver_it_is_on_the_terminal_and_in_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.pager.outcomes = [REFUSED] * 5
    desk.stage = desk.staffed({"pager": desk.pager})

    desk.handle(finding())

    assert any("NOT DELIVERED to pager" in text and "bank.example" in text for text in desk.shouted)
    assert any(r.levelno == logging.ERROR and "nobody can be notified" in r.message for r in caplog.records)
    assert desk.stage.reaches_nobody


def test_two_receivers_that_refuse_do_not_report_each_other_for_ever(desk: Desk) -> None:
    desk.pager.outcomes, desk.backup.outcomes = [REFUSED] * 10_000, [REFUSED] * 10_000

    desk.handle(finding())
    for _ in range(20):
        desk.handle()

    assert len(desk.ledger.open_incidents()) == 3, "the fault, and one for each receiver"
    assert len(desk.pager.ids) + len(desk.backup.ids) < 10
    assert desk.stage.reaches_nobody
    assert any("bank.example" in text for text in desk.shouted)


def test_an_event_that_is_invalid_is_never_repeated_and_a_newer_state_is_sent(desk: Desk) -> None:
    desk.pager.outcomes = [UNFIT]
    opened = finding()
    desk.handle(opened)
    for _ in range(8):
        desk.clock.advance(1000)
        desk.handle()
    assert len(desk.pager.ids) == 1, "the same words are not sent again"
    assert told_of(desk.backup, "bank.example.") == ["trigger"]

    desk.handle(msgspec.structs.replace(opened, version=2, detail="another detail"))
    desk.clock.advance(1000)
    desk.handle()
    desk.handle()

    assert desk.pager.told[0] == ("trigger", "bank.example.")
    assert len(set(desk.pager.ids)) == len(desk.pager.ids), "as an event of its own"


def test_an_invalid_event_of_an_incident_that_is_over_is_forgotten(desk: Desk) -> None:
    desk.pager.outcomes = [UNFIT]
    opened = finding()
    desk.handle(opened)
    desk.handle(closed(opened))
    desk.clock.advance(2000)
    desk.handle()

    assert desk.ledger.pending() == 0


def test_every_finding_and_every_delivery_is_one_line(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    opened = finding()
    desk.handle(opened)
    desk.handle(opened)
    desk.handle(msgspec.structs.replace(opened, version=2, detail="worse"))
    desk.handle(closed(opened, version=3))

    lines = [record.message for record in caplog.records if record.levelno == logging.INFO]
    assert [line for line in lines if line.startswith("finding")] == [
        "finding opened",
        "finding opened",
        "finding closed",
    ]
    assert lines.count("delivered") == len(desk.pager.told)


def test_a_bug_in_a_receivers_code_is_that_receivers_failure(desk: Desk) -> None:
    class Buggy(Recorder):
        def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
            raise ZeroDivisionError("secret-in-a-traceback")

    routes = (*desk.config.routes, msgspec.structs.replace(desk.config.routes[0], receiver="backup"))
    desk.config = msgspec.structs.replace(desk.config, routes=routes)
    desk.stage = desk.staffed({"pager": Buggy(), "backup": desk.backup})

    desk.handle(finding())

    assert desk.backup.told == [("trigger", "bank.example.")]


class TestSender:
    def one(self, zone: str, number: int = 1) -> Delivery:
        from alerts.decision.incidents import Entry, begin_incident, take_finding

        opened = finding(zone=zone)
        entry = Entry(finding=opened, severity=Severity.CRITICAL, receivers=("pager",))
        incident = take_finding(begin_incident(opened), entry)
        return Delivery(
            id=f"{zone}{number}", receiver="pager", event="trigger", reason="", incident=incident, decided_at=AT
        )

    def test_a_thread_that_hangs_is_left_alone_and_threads_are_bounded(self) -> None:
        stuck, now = Stuck(), [0.0]
        sender = Sender({"pager": stuck}, lambda: 0.0, left_after_s=25.0, monotonic=lambda: now[0])
        outcomes: list[tuple[Delivery, DeliveryOutcome]] = []
        for number in range(8):
            stuck.begun.clear()
            sender.begin("pager", [(self.one(f"z{number}.example."),)])
            if number < 4:
                assert stuck.begun.wait(SOON_S)
            now[0] += 26.0
            outcomes += sender.take()

        assert [outcome.delivered for _, outcome in outcomes] == [False] * 8
        assert "still hang" in outcomes[-1][1].detail
        assert sum(thread.name == "to-pager" for thread in threading.enumerate()) <= 4
        assert sender.is_idle
        stuck.goes_on.set()

    def test_what_is_slow_is_gathered_for_a_moment_only(self) -> None:
        stuck, quick = Stuck(), Recorder()
        sender = Sender({"stuck": stuck, "quick": quick}, lambda: 0.0)

        async def story() -> list[tuple[Delivery, DeliveryOutcome]]:
            for receiver in ("stuck", "quick"):
                one = msgspec.structs.replace(self.one("a.example."), receiver=receiver, id=receiver)
                sender.begin(receiver, [(one,)])
            await sender.wait(20.0, 0.01)
            return sender.take()

        found = asyncio.run(asyncio.wait_for(story(), SOON_S))
        stuck.goes_on.set()

        assert [delivery.id for delivery, _ in found] == ["quick"]

    def test_of_one_incident_the_order_is_kept_and_a_failure_ends_its_lane(self) -> None:
        pager = Recorder(DeliveryOutcome(True, ""), DeliveryOutcome(False, "HTTP 500"))
        sender = Sender({"pager": pager}, lambda: 0.0)
        sender.begin("pager", [[self.one("a.example.", n) for n in (1, 2, 3)]])

        async def story() -> list[tuple[Delivery, DeliveryOutcome]]:
            found: list[tuple[Delivery, DeliveryOutcome]] = []
            while len(found) < 2 or not sender.is_idle:
                await sender.wait(1.0)
                found += sender.take()
            return found

        found = asyncio.run(asyncio.wait_for(story(), SOON_S))

        assert [delivery.id for delivery, _ in found] == ["a.example.1", "a.example.2"]


class TestAClockThatIsSet:
    """Nobody waits until it has come round again: what is waited for goes on by the time that passes."""

    def test_a_delivery_that_failed_is_tried_again_after_its_pause(self, desk: Desk) -> None:
        desk.ticks = ManualClock()
        desk.restart()
        desk.pager.outcomes = [DeliveryOutcome(False, "HTTP 503")]
        desk.handle(finding())
        desk.clock.advance(-1800)
        desk.handle()
        assert desk.pager.told == []

        desk.ticks.advance(BACKOFF_S[0])
        desk.handle()

        assert desk.pager.told == [("trigger", "bank.example.")]

    def test_forward_ends_no_drift(self, desk: Desk) -> None:
        desk.ticks = ManualClock()
        desk.restart()
        desk.handle(finding("secure_to_insecure"))
        desk.clock.advance(desk.config.drift_hold_s + 3600)
        desk.handle()
        assert desk.pager.told == [("trigger", "bank.example.")]

        desk.ticks.advance(desk.config.drift_hold_s + 3600)
        desk.handle()
        assert desk.pager.told[-1] == ("resolve", "bank.example.")
        assert desk.pager.bodies[-1]["summary"].startswith("NO MORE NEWS [critical] bank.example: ")
        assert "RESOLVED" not in desk.pager.bodies[-1]["summary"]

    def test_right_again_after_it_was_ahead_ends_no_drift(self, desk: Desk) -> None:
        """Started two days ahead, then put right: what is found from then on is dated by the clock."""
        desk.clock.advance(2 * 86400)
        desk.ticks = ManualClock()
        desk.restart()
        desk.clock.advance(-2 * 86400)
        desk.handle(finding("secure_to_insecure"))
        desk.ticks.advance(60)
        desk.handle()

        assert desk.pager.told == [("trigger", "bank.example.")]

    @pytest.mark.parametrize("jump_s", [-86400, 86400])
    def test_reminders_come_as_ever(self, desk: Desk, jump_s: float) -> None:
        desk.ticks = ManualClock()
        desk.restart()
        desk.handle(finding())
        desk.clock.advance(jump_s)
        desk.handle()
        assert desk.pager.told == [("trigger", "bank.example.")]

        desk.ticks.advance(desk.config.repeat_s)
        desk.handle()
        assert desk.pager.told[-1] == ("reminder", "bank.example.")

    def test_after_a_restart_far_back_a_reminder_is_not_put_off(self, desk: Desk) -> None:
        desk.handle(finding())
        desk.clock.advance(-30 * 86400)
        desk.restart()
        desk.handle()

        assert desk.pager.told == [("trigger", "bank.example."), ("reminder", "bank.example.")]

    def test_after_a_restart_no_pause_is_longer_than_any_that_there_is(self, desk: Desk) -> None:
        desk.pager.outcomes = [DeliveryOutcome(False, "HTTP 503")]
        desk.handle(finding())
        desk.clock.advance(-7200)
        desk.restart()

        desk.handle()

        assert desk.pager.told == [("trigger", "bank.example.")]


class TestOutbox:
    def test_a_receiver_that_may_not_work_gets_one_delivery_and_not_always_the_same(self) -> None:
        make = TestSender().one
        tried = msgspec.structs.replace(make("a.example."), attempts=3)
        fresh = make("b.example.")

        assert choose_lanes([make("a.example."), fresh], (), works=False) == [(make("a.example."),)]
        assert choose_lanes([tried, fresh], (), works=False) == [(fresh,)]
        assert choose_lanes([tried, fresh], {"x"}, works=False) == []
        assert choose_lanes([tried, fresh], (), works=True) == [(tried,), (fresh,)]

    def test_pauses_grow_and_what_is_asked_for_counts(self) -> None:
        again, refused = DeliveryOutcome(False, ""), DeliveryOutcome(False, "", retry=False)

        assert [pause_after(n, again) for n in range(1, 9)] == [*BACKOFF_S, BACKOFF_S[-1]]
        assert [pause_after(n, refused) for n in range(1, 8)] == [*REFUSED_BACKOFF_S, REFUSED_BACKOFF_S[-1]]
        assert pause_after(1, DeliveryOutcome(False, "", retry_after_s=77)) == 77

    def test_only_what_is_refused_long_after_the_end_is_given_up(self) -> None:
        one, day = TestSender().one("a.example."), timedelta(hours=25)

        assert not settle(one, REFUSED, 0, over_for=None).done
        assert not settle(one, REFUSED, 0, over_for=timedelta(hours=1)).done
        assert settle(one, REFUSED, 0, over_for=day).done
        assert not settle(one, DeliveryOutcome(False, "down"), 0, over_for=day).done


def test_a_refusal_survives_a_restart(desk: Desk) -> None:
    desk.pager.outcomes = [REFUSED]
    desk.handle(finding())
    desk.ledger = SqliteLedger(desk.config.ledger)
    (waiting,) = [one for one in desk.ledger.deliveries() if one.receiver == "pager"]

    assert waiting.refused
    desk.restart()
    desk.handle()
    assert "pager" in desk.stage.failing
