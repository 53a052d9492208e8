"""An anchorwatch without a bus: the collector on real sockets, the analyzer with its history in memory, in a thread."""

import asyncio
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from analyzer.detected import Drift
from analyzer.history.memory import MemoryHistory
from analyzer.stage import Analyzer
from analyzer.zones.rollover import Step
from analyzer.zones.timeline import Timeline
from anchorwatch.configuration.loading import load_config
from collector.stage import Collector
from schemas.messages import Finding, Message, Observation, PollBatch, ZoneObservation, ZoneSweep
from tests.support.daemons import until
from tests.support.diary import Diary
from tests.support.signers import Page


@dataclass(frozen=True)
class Prediction:
    """What a rollover owed by the analyzer's account, said at an instant (POSIX seconds)."""

    said_at: float
    what: str
    tag: int
    not_before: float | None

    def done_at(self, diary: Diary, zone: str) -> float | None:
        """Return when the servers had done it; None: never."""
        holds: dict[str, Callable[[Page], bool]] = {
            "withdraw": lambda page: self.tag not in page.keys,
            "sign with": lambda page: self.tag in page.signs,
            "publish the DS of": lambda page: self.tag in page.ds,
            "publish the key of": lambda page: self.tag in page.keys,
            "sign without": lambda page: self.tag not in page.signs,
        }
        return diary.first_at(zone, holds[self.what])


class Onlooker:
    """Watches until closed; what it saw and found is kept whole."""

    def __init__(self, config: Path) -> None:
        loaded = load_config(config)
        self._collector = Collector(loaded.collector, time.time)
        self._analyzer = Analyzer(MemoryHistory(), time.time, interval_s=loaded.collector.interval_s)
        self.messages: list[Message] = []
        self._found: dict[str, Finding] = {}
        self.versions: list[Finding] = []
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        try:
            asyncio.run(self._collect())
        except BaseException as fault:  # whoever waits for a finding is told why none comes
            self.fault = fault
            raise

    async def _collect(self) -> None:
        async for batch in self._collector.observe():
            found = await self._analyzer.handle(batch)
            self.messages += batch
            self.versions += [one for one in found if isinstance(one, Finding)]
            self._found.update({one.id: one for one in found if isinstance(one, Finding)})

    def close(self) -> None:
        """End it after the polls under way."""
        self._collector.stop()
        self._thread.join(30.0)
        assert self.fault is None, self.fault

    # what it saw

    def verdicts(self, zone: str, vantage: str, since: float = 0.0) -> list[str]:
        """Return the verdicts of the zone's name through a vantage as they came, one for each change."""
        found: list[str] = []
        for one in list(self.messages):
            if isinstance(one, Observation) and (one.judgement.name, one.judgement.vantage) == (f"www.{zone}", vantage):
                verdict = str(one.judgement.verdict)
                if one.observed_at.timestamp() >= since and found[-1:] != [verdict]:
                    found.append(verdict)
        return found

    def sights(self, zone: str, vantage: str) -> list[ZoneObservation]:
        """Return the zone as a vantage saw it, oldest first."""
        seen = [one for one in list(self.messages) if isinstance(one, ZoneObservation)]
        return [one for one in seen if (one.zone, one.vantage) == (zone, vantage)]

    def drifts(self, zone: str, vantage: str) -> list[tuple[ZoneObservation, Drift]]:
        """Return what changed of the zone from sight to sight."""
        timeline = Timeline()
        return [
            (message, drift)
            for message in self.sights(zone, vantage)
            if not timeline.adds_nothing(message)
            for drift in timeline.put(message).drifts
        ]

    def predictions(self, zone: str, vantage: str) -> list[Prediction]:
        """Return what was owed at each sight of the zone."""
        timeline, found = Timeline(), []
        for message in self.sights(zone, vantage):
            if not timeline.adds_nothing(message):
                steps = timeline.put(message).rollover.next_steps(message)
                found += [_prediction(step, message.observed_at) for step in steps]
        return found

    def longest_pause_s(self, zone: str, vantage: str) -> float:
        """Return the longest time between two polls of a zone's names: what happens meanwhile is seen so late."""
        rows = [
            (name, at.timestamp())
            for one in list(self.messages)
            if isinstance(one, PollBatch) and one.vantage == vantage
            for name, at in zip(one.names, one.polled_at, strict=True)
        ]
        rows += [
            (one.judgement.name, one.observed_at.timestamp())
            for one in list(self.messages)
            if isinstance(one, Observation) and one.judgement.vantage == vantage
        ]
        polled_at = sorted(at for name, at in rows if name.endswith(zone))
        return max((later - earlier for earlier, later in pairwise(polled_at)), default=0.0)

    def sweeps(self, zone: str) -> list[ZoneSweep]:
        """Return what all servers of the zone and of its parent said, round by round."""
        return [one for one in list(self.messages) if isinstance(one, ZoneSweep) and one.zone == zone]

    # what it found

    def all_findings(self) -> list[Finding]:
        """Return the last word on each confirmed finding, oldest first."""
        return [one for one in list(self._found.values()) if one.confirmed]

    def findings(self, zone: str, code: str = "") -> list[Finding]:
        """Return the last word on each confirmed finding of a zone or of the name in it, oldest first."""
        found = [one for one in self.all_findings() if code in ("", one.code)]
        return [one for one in found if one.cause_zone == zone or zone in one.cause_rrset]

    def until(self, zone: str, look: Callable[[], bool], claim: str, *, within_s: float) -> None:
        """Wait for something that it sees or finds of a zone.

        Raises:
            AssertionError: it ended, or it did not see that; with its account of the zone.
        """

        def look_on() -> bool:
            assert self.fault is None, self.fault
            return look()

        try:
            until(look_on, claim, within_s=within_s)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.account(zone)}") from None

    def until_found(self, zone: str, code: str, *, within_s: float) -> None:
        """Wait for a confirmed finding of a zone."""
        self.until(zone, lambda: bool(self.findings(zone, code)), f"{code} is found of {zone}", within_s=within_s)

    def account(self, zone: str) -> str:
        """Return all that was seen and found of a zone, for the reader of a failure."""
        lines = [f"{one.severity} {one.code} {one.status}: {one.detail}" for one in self.findings(zone)]
        for vantage in ("authoritative", "cache"):
            lines.append(f"{vantage}: {self.verdicts(zone, vantage)}")
            lines += [f"  {sight.observed_at:%T} {drift.detail}" for sight, drift in self.drifts(zone, vantage)]
        return "\n".join(lines)


def _prediction(step: Step, said_at: datetime) -> Prediction:
    said = re.match(r"(withdraw|sign without|sign with|publish the DS of|publish the key of) \w+ (\d+)", step.what)
    assert said is not None, step
    what, tag = said.groups()
    not_before = step.not_before.timestamp() if step.not_before is not None else None
    return Prediction(said_at.timestamp(), what, int(tag), not_before)
