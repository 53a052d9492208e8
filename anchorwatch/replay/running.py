"""One run of a scenario: one instant after the other, until its end. Nothing sleeps."""

import gc
import heapq
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from analyzer.findings.changes import Plan
from anchorwatch.replay import language as say
from anchorwatch.replay.deeds import Deeds
from anchorwatch.replay.desk import Recorder
from anchorwatch.replay.reading import INVENTORY, inventory_text
from anchorwatch.replay.record import Record
from anchorwatch.replay.scenario import Scenario, Step
from anchorwatch.replay.setting import absolute, build_world, monitor_anchors, texts
from anchorwatch.replay.stages import SOURCE, Clock, MemoryDisk, Monitor
from anchorwatch.replay.times import parse_signed_span, parse_span
from collector.config import InventorySource
from collector.dnssec.questions import Reply
from collector.resolvers.dialogue import Posed
from schemas.catalogue import Kind
from schemas.messages import Act, utc

FOREVER = float("inf")
LOOK_AT_INVENTORY_S = 5.0
LOOK_EVERY_S = 300.0
CLOCKS_EVERY_S = 60.0
DOWN_S = 5.0
COLLECTED_EVERY = (100_000, 50, 50)
"""A run makes next to no cycles, and keeps much: at the usual thresholds looking for them takes a fifth of its time."""


def run_scenario(scenario: Scenario, *, restarts: int = 0, seed: int = 0) -> Record:
    """Return what happens in a scenario, with so many restarts of the monitor at random instants."""
    with tempfile.TemporaryDirectory(prefix="anchorwatch-replay-") as folder, _garbage_collected(COLLECTED_EVERY):
        run = _Run(scenario, Path(folder), restarts=restarts, seed=seed)
        try:
            return run.go()
        finally:
            run.monitor.close()


@contextmanager
def _garbage_collected(thresholds: tuple[int, int, int]) -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*thresholds)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Run:
    """A run under way."""

    def __init__(self, scenario: Scenario, folder: Path, *, restarts: int, seed: int) -> None:
        self._scenario = scenario
        self.record = Record(lasts_s=scenario.lasts_s)
        self._clock = Clock(scenario.start.timestamp())
        self._world = build_world(scenario)
        self._deeds = Deeds(self._world, f"{scenario.seed}")
        self._disk, self._path = MemoryDisk(), Path(INVENTORY)
        self._rows = list(scenario.inventory)
        self._write_rows()
        self._receivers = {receiver.name: Recorder() for receiver in scenario.alerts.receivers}
        source, authorities = scenario.collector.sources[0], scenario.collector.authorities
        if authorities is not None:
            hints = self._world.root_servers
            authorities = msgspec.structs.replace(authorities, hints=hints, allow_private=True)
        config = msgspec.structs.replace(
            scenario.collector,
            sources=(msgspec.structs.replace(source, path=self._path),),
            state=folder,
            anchors=monitor_anchors(scenario, self._world),
            authorities=authorities,
        )
        assert isinstance(source, InventorySource)
        self.monitor = Monitor(
            config, scenario.alerts, self._clock, self.record, self._disk, self._receivers, scenario.plans
        )
        self._under_way: list[tuple[float, int, Reply]] = []
        self._events: list[tuple[float, int, str, Step | None]] = []
        self._order = 0
        for step in scenario.steps:
            self._plan(step.at, "step", step)
        self._plan(CLOCKS_EVERY_S, "clocks")
        self._plan(LOOK_EVERY_S, "sources")
        chance = random.Random(f"{scenario.seed}/{scenario.name}/{seed}")
        for at in sorted(chance.uniform(60.0, max(scenario.lasts_s - 60.0, 61.0)) for _ in range(restarts)):
            self._plan(at, "restart")

    def _plan(self, at: float, kind: str, step: Step | None = None) -> None:
        self._order += 1
        heapq.heappush(self._events, (at, self._order, kind, step))

    def go(self) -> Record:
        """Let everything happen that happens before the end."""
        clock, world, end = self._clock, self._world, self._scenario.lasts_s
        self.monitor.start()
        while True:
            monitor, under_way, events = self.monitor, self._under_way, self._events
            reply_at = under_way[0][0] if under_way else FOREVER
            event_at = events[0][0] if events else FOREVER
            due_at, flush_at = FOREVER, FOREVER
            if monitor.runs:
                due_at, flush_at = monitor.next_due_at(), monitor.next_flush_at()
            world_at = world.next_due_at()
            now = max(clock.now, min(reply_at, event_at, due_at, flush_at, world_at))
            if now >= end:
                break
            clock.now = world.now = now
            if world_at <= now:
                world.advance(now)
            if event_at <= now:
                self._happen()
            elif reply_at <= now:
                while under_way and under_way[0][0] <= now:
                    _, ticket, reply = heapq.heappop(under_way)
                    self._put(monitor.take(ticket, reply))
            elif due_at <= now:
                self._put(monitor.due())
            elif flush_at <= now:
                monitor.hand_on()
        clock.now = end
        if self.monitor.runs:
            self.monitor.hand_on()
        self.record.polls = self.monitor.polls
        return self.record

    def _put(self, posed: Sequence[Posed]) -> None:
        now, ask = self._clock.now, self._world.ask
        for ticket, question in posed:
            reply, takes_s = ask(question)
            heapq.heappush(self._under_way, (now + takes_s, ticket, reply))

    # events

    def _happen(self) -> None:
        _, _, kind, step = heapq.heappop(self._events)
        now = self._clock.now
        match kind:
            case "step":
                assert step is not None
                self._do(step)
            case "clocks":
                if self.monitor.runs:
                    self.monitor.check_clocks()
                self._plan(now + CLOCKS_EVERY_S, "clocks")
            case "sources":
                if self.monitor.runs:
                    self.monitor.look_at_inventory()
                self._plan(now + LOOK_EVERY_S, "sources")
            case "inventory":
                if self.monitor.runs:
                    self.monitor.look_at_inventory()
            case "restart":
                self._restart(DOWN_S)
            case "start":
                self.monitor.start()

    def _restart(self, after_s: float) -> None:
        if not self.monitor.runs:
            return
        self.record.restarts.append(self._clock.now)
        self.monitor.kill()
        self._under_way.clear()
        self._plan(self._clock.now + after_s, "start")

    def _do(self, step: Step) -> None:
        word, now = step.word, self._clock.now
        self.record.note(now, described(step))
        match word:
            case say.SkewClock():
                self._clock.skew_s = parse_signed_span(word.by)
                if self.monitor.runs:
                    self.monitor.check_clocks()
            case say.EditInventory():
                self._edit_inventory(word)
                self._plan(now + LOOK_AT_INVENTORY_S, "inventory")
            case say.AcceptInventory():
                self.monitor.accept_inventory(word.by, word.why)
                self._plan(now + LOOK_AT_INVENTORY_S, "inventory")
            case say.DeclareChange():
                self._declare(word)
            case say.Accept():
                self._accept(word)
            case say.Restart():
                self._restart(parse_span(word.after))
            case say.ReceiverDown() | say.ReceiverUp():
                self._receivers[word.receiver].down = isinstance(word, say.ReceiverDown)
                self.monitor.receivers_fail = any(receiver.down for receiver in self._receivers.values())
            case _:
                self._deeds.do(word)

    def _edit_inventory(self, word: say.EditInventory) -> None:
        if word.text is not None:
            self._disk.write(self._path, word.text.encode())
            return
        rows = list(word.identities) if word.identities is not None else self._rows
        removed = set(texts(word.remove))
        self._rows = [row for row in rows if not (isinstance(row, dict) and row.get("id") in removed)]
        self._rows += word.add
        self._write_rows()

    def _write_rows(self) -> None:
        self._disk.write(self._path, inventory_text(self._rows).encode())

    def _declare(self, word: say.DeclareChange) -> None:
        at = utc(self._clock.wall())
        plan = Plan(
            subject=absolute(word.subject),
            begins_at=at,
            ends_at=at + timedelta(seconds=parse_span(word.lasts)),
            by=word.by,
            what=texts(word.what),
            why=word.why,
            answers=word.answers,
        )
        self._act(plan.declared(at, SOURCE))

    def _accept(self, word: say.Accept) -> None:
        for finding in self.monitor.open_findings():
            zone = finding.cause_zone.rstrip(".")
            is_meant = word.code in ("", finding.code) and word.cause.rstrip(".") in ("", zone)
            if is_meant and finding.kind is Kind.DRIFT:
                self._act(self.monitor.acceptance(finding, word.by, word.why))

    def _act(self, act: Act) -> None:
        if self.monitor.runs:
            self.monitor.act(act)


def described(step: Step) -> str:
    """Return a step in one line: its word, and the fields that say something."""
    word = step.word
    shown = []
    for one in msgspec.structs.fields(type(word)):
        value = getattr(word, one.name)
        default = one.default if one.default is not msgspec.NODEFAULT else None
        if value != default and value not in ("", (), None):
            text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            shown.append(f"{one.encode_name} {text if len(text) <= 60 else text[:57] + '...'}")
    return f"{step.name}: {'; '.join(shown)}" if shown else step.name
