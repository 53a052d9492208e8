"""Whether a process does its work, on a clock that the test turns."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from anchorwatch.pipeline.local_bus import LocalBus
from anchorwatch.pipeline.probe import HistoryProbe
from anchorwatch.pipeline.progress import SLOW_S, STUCK_S, WAITS_S, Progress
from anchorwatch.pipeline.pump import Pump
from anchorwatch.telemetry import Meter
from schemas.messages import Message


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Clock, Progress]:
    clock = Clock()
    return clock, Progress(clock)


def test_a_stage_that_waits_for_work_makes_progress() -> None:
    clock, progress = made()
    step = progress.track("analyzer")

    for _ in range(10):
        clock.now += SLOW_S - 1
        step.begins("read")
        step.turned()

    assert progress.why_not_ready() == progress.why_not_healthy() == progress.why_no_heartbeat() == []


def test_a_step_that_takes_too_long_is_not_ready_and_in_the_end_not_healthy() -> None:
    clock, progress = made()
    step = progress.track("analyzer")
    step.turned()
    step.begins("handle")

    clock.now += SLOW_S + 1
    assert progress.why_not_ready() == ["analyzer has made no progress for 61 s; its step is: handle"]
    assert progress.why_no_heartbeat() == progress.why_not_ready()
    assert progress.why_not_healthy() == []

    clock.now += STUCK_S
    assert progress.why_not_healthy() == ["analyzer has been stuck for 361 s; its step is: handle"]


def test_to_try_again_is_life_but_no_progress() -> None:
    clock, progress = made()
    step = progress.track("alerts")
    step.turned()

    for _ in range(40):
        clock.now += 30
        step.begins("handle")
        step.waits("the ledger can't be written")

    assert progress.why_not_healthy() == [], "a restart would not help"
    assert progress.why_not_ready() == ["alerts has made no progress for 1200 s: the ledger can't be written"]
    assert progress.why_no_heartbeat()
    step.turned()
    assert progress.why_not_ready() == []


def test_a_short_wait_is_not_told() -> None:
    clock, progress = made()
    step = progress.track("alerts")
    step.turned()
    clock.now += WAITS_S - 1
    step.waits("the bus is away")

    assert progress.why_not_ready() == []


def test_what_has_not_begun_sends_no_heartbeat() -> None:
    _, progress = made()
    progress.track("collector")

    assert progress.why_no_heartbeat() == ["collector has not begun"]
    assert progress.why_not_ready() == []


def test_every_reason_is_told_and_only_a_grave_one_ends_the_heartbeat() -> None:
    _, progress = made()
    said = {"disk": "the disk is full", "share": "stands by"}
    progress.add_reason("disk", lambda: said["disk"])
    progress.add_reason("share", lambda: said["share"], grave=False)

    assert progress.why_not_ready() == ["the disk is full", "stands by"]
    assert progress.why_no_heartbeat() == ["the disk is full"]
    said["disk"] = ""
    assert progress.why_no_heartbeat() == []


def test_a_stage_that_ended_in_order_is_expected_to_do_nothing() -> None:
    clock, progress = made()
    progress.track("collector").ended()
    clock.now += 10 * STUCK_S

    assert progress.why_not_ready() == progress.why_not_healthy() == []


def test_the_pump_tells_of_a_handler_that_hangs() -> None:
    clock, progress = made()
    hangs = asyncio.Event()

    class Nothing:
        def put(self, letter: Any) -> None: ...

        async def send(self, messages: Sequence[Message]) -> None: ...

        async def close(self) -> None: ...

    async def story() -> tuple[list[str], list[str]]:
        async def handle(batch: Sequence[Message]) -> Sequence[Message]:
            if hangs.is_set():
                await asyncio.Event().wait()
            clock.now += SLOW_S - 1
            return []

        bus = LocalBus("in", Nothing(), quiet_s=0.001)
        pump = Pump("stage", bus, handle, Nothing(), Meter(), progress.track("stage"))
        running = asyncio.create_task(pump.run())
        await asyncio.sleep(0.02)
        before = progress.why_not_ready()
        hangs.set()
        await asyncio.sleep(0.02)
        clock.now += SLOW_S + 1
        running.cancel()
        return before, progress.why_not_ready()

    before, after = asyncio.run(story())

    assert before == []
    assert len(after) == 1
    assert after[0].endswith("its step is: handle")


class Hanging:
    """A history that hangs on the second question until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.goes_on = threading.Event()

    def is_ready(self) -> bool:
        self.asked += 1
        if self.asked > 1:
            self.goes_on.wait(10)
        return True


def test_a_history_that_hangs_is_told_and_costs_one_thread(monkeypatch: Any) -> None:
    import anchorwatch.pipeline.probe

    monkeypatch.setattr(anchorwatch.pipeline.probe, "EVERY_S", 0.002)
    clock, history = Clock(), Hanging()

    async def story() -> tuple[str, str, str]:
        probe = HistoryProbe(history, clock)
        probe.start()
        while history.asked < 2:
            await asyncio.sleep(0.002)
        early = probe.why_not()
        await asyncio.sleep(0.05)
        clock.now += 60
        hung = probe.why_not()
        history.goes_on.set()
        while probe.why_not():
            await asyncio.sleep(0.002)
        clock.now += 1
        await probe.stop()
        return early, hung, probe.why_not()

    early, hung, after = asyncio.run(asyncio.wait_for(story(), 10))

    assert (early, hung, after) == ("", "the history does not answer: it was asked 60 s ago", "")


def test_a_hanging_history_is_asked_once(monkeypatch: Any) -> None:
    import anchorwatch.pipeline.probe

    monkeypatch.setattr(anchorwatch.pipeline.probe, "EVERY_S", 0.001)
    monkeypatch.setattr(anchorwatch.pipeline.probe, "FAREWELL_S", 0.0)
    history = Hanging()

    async def story() -> int:
        probe = HistoryProbe(history)
        probe.start()
        await asyncio.sleep(0.05)
        await probe.stop()
        return history.asked

    asked = asyncio.run(story())
    history.goes_on.set()

    assert asked == 2
