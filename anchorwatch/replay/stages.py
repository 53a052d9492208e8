"""The monitor: the real collector, analyzer and alerts on a virtual clock. What is stored outlives a restart.

The collector's watch is turned from instant to instant; analyzer and alerts are the stages as they run elsewhere, on a
loop in which nothing waits. A batch of nothing but unchanged polls waits up to a minute (in a large estate five) while
no finding of note is open or unconfirmed: it could say nothing that anybody is told of.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from alerts.config import AlertsConfig
from alerts.ledger.sqlite import SqliteLedger
from alerts.stage import Alerts
from analyzer.findings.acts import acceptance_of
from analyzer.findings.changes import Plan
from analyzer.history.memory import MemoryHistory
from analyzer.stage import Analyzer
from anchorwatch.pipeline.recalls import Recalls
from anchorwatch.replay.desk import InlineSender, Recorder
from anchorwatch.replay.inline import InlineLoop
from anchorwatch.replay.record import Record
from collector.config import CollectorConfig
from collector.dnssec.questions import Reply
from collector.inventory.retention import Acceptance
from collector.inventory.sources import InventorySources, Stamp
from collector.inventory.store import Store
from collector.polling.registrable import public_suffixes
from collector.polling.roster import Roster, compare
from collector.polling.watch import Watch
from collector.resolvers.dialogue import Posed
from schemas.catalogue import Kind, Severity
from schemas.codes import Code
from schemas.messages import Act, Finding, Message

SOURCE = "scenario"
FLUSH_S = 0.5
IDLE_S, IDLE_IN_LARGE_S = 60.0, 300.0
LARGE = 100
MOST_GATHERED = 500
RETRY_S = 1.0
TOGETHER_S = 1.0


class Clock:
    """The true time, and what the monitor's clock says; ``skew_s`` is how far that is off."""

    def __init__(self, epoch: float) -> None:
        self.epoch, self.now, self.skew_s = epoch, 0.0, 0.0

    def ticks(self) -> float:
        """Return seconds since the start, which only run on."""
        return self.now

    def wall(self) -> float:
        """Return POSIX seconds as the monitor's clock says."""
        return self.epoch + self.now + self.skew_s


class MemoryDisk:
    """Files in memory; each writing gives a file another stamp."""

    def __init__(self) -> None:
        self._files: dict[Path, tuple[bytes, int]] = {}
        self._written = 0

    def write(self, path: Path, content: bytes) -> None:
        """Write a file anew."""
        self._written += 1
        self._files[path] = content, self._written

    def read(self, path: Path) -> bytes:
        """Return a file's content."""
        if path not in self._files:
            raise ValueError(f"{path}: can't be read: No such file or directory")
        return self._files[path][0]

    def stamp(self, path: Path) -> Stamp | None:
        """Return what changes when a file is written anew."""
        if path not in self._files:
            return None
        content, number = self._files[path]
        return number, len(content), 0


class Monitor:
    """One monitor over all its restarts. ``folder`` keeps what the collector stores of its sources."""

    def __init__(
        self,
        config: CollectorConfig,
        alerts: AlertsConfig,
        clock: Clock,
        record: Record,
        disk: MemoryDisk,
        receivers: Mapping[str, Recorder],
        plans: Sequence[Plan] = (),
    ) -> None:
        self._config, self._alerts_config, self._clock, self._record = config, alerts, clock, record
        self._disk, self._receivers, self._plans = disk, receivers, plans
        self._history, self._ledger = MemoryHistory(), SqliteLedger(Path(":memory:"))
        self._loop = InlineLoop()
        self._open: set[str] = set()
        self.runs = False
        self.polls_before = 0
        self.receivers_fail = False

    # start and end

    def start(self) -> None:
        """Start with what is stored, and nothing in memory."""
        config, clock = self._config, self._clock
        self.watch = Watch(config)
        self._roster = Roster()
        self._sources = InventorySources(
            config.sources,
            config.vantage_names,
            config.state,
            clock=clock.wall,
            stopwatch=clock.ticks,
            disk=self._disk,
        )
        self._analyzer = Analyzer(self._history, clock.wall, plans=self._plans, interval_s=config.interval_s)
        sender = InlineSender(self._receivers, clock.wall)
        self._alerts = Alerts(
            self._alerts_config, self._ledger, self._receivers, clock.wall, ticks=clock.ticks, sender=sender
        )
        self._recalls = Recalls()
        self._acts: list[Act] = []
        self._flushed_at, self._idle_s = clock.now, IDLE_S
        self.runs = True
        self.look_at_inventory()
        self.hand_on()

    def kill(self) -> None:
        """End at once: what was gathered and not handed on is lost."""
        self.polls_before += self.watch.polls
        self.watch.give_up()
        self.runs = False

    def close(self) -> None:
        """Let go of what is stored."""
        self._ledger.close()

    @property
    def polls(self) -> int:
        """Return how many polls were made over all restarts."""
        return self.polls_before + (self.watch.polls if self.runs else 0)

    # polling

    def due(self) -> list[Posed]:
        """Return what is to be asked now."""
        return self.watch.due(self._clock.now, self._clock.wall())

    def next_due_at(self) -> float:
        """Return when there is something to ask; in a large estate what falls due within a second is asked together."""
        due_at = self.watch.next_due_at()
        is_alone = self.watch.watched <= LARGE or math.isinf(due_at)
        return due_at if is_alone else math.ceil(due_at / TOGETHER_S) * TOGETHER_S

    def take(self, ticket: int, reply: Reply) -> list[Posed]:
        """Take in a reply; return what is to be asked next."""
        return self.watch.take(ticket, reply, self._clock.now, self._clock.wall())

    def check_clocks(self) -> None:
        """Notice whether the clock was set."""
        self.watch.check_clocks(self._clock.now, self._clock.wall())

    def next_flush_at(self) -> float:
        """Return when what was gathered is handed on."""
        watch = self.watch
        if watch.has_news or self._acts:
            return self._flushed_at + FLUSH_S
        gathered = watch.gathered
        if gathered and self._open:
            return self._flushed_at + FLUSH_S
        if gathered >= MOST_GATHERED:
            return self._clock.now
        if self.receivers_fail and self._ledger.pending() > 0:
            return self._flushed_at + RETRY_S
        return self._flushed_at + self._idle_s

    # what people and files say

    def look_at_inventory(self) -> None:
        """Read the inventory where it has changed, as the collector does."""
        if not self._sources.changed():
            return
        inventory = self._sources.load()
        at = self._clock.wall()
        self._roster, change = compare(
            self._roster,
            list(inventory.identities),
            self._config.vantage_names,
            self._sources.is_ours,
            public_suffixes(),
        )
        self.watch.change(change, self._clock.now)
        messages = list(self._sources.news(at))
        told = (
            (Code.SELF_INVENTORY_STALE, self._sources.troubles),
            (Code.SELF_INVENTORY_SHRUNK, self._sources.shrunk),
        )
        for source in self._config.sources:
            for code, details in told:
                detail = details.get(str(source.path), "")
                messages += self.watch.reports(code, str(source.path), detail, at)
        self._give(messages)

    def accept_inventory(self, by: str, why: str) -> None:
        """Accept what the source says now, as ``anchorwatch inventory accept`` does."""
        store = Store(self._config.state)
        for source in self._config.sources:
            pending = store.load(source.path).pending
            if pending is not None:
                at = datetime.fromtimestamp(self._clock.wall(), UTC)
                store.accept(source.path, Acceptance(digest=pending.digest, who=by, why=why, at=at))

    def act(self, act: Act) -> None:
        """Take in what somebody did."""
        self._acts.append(act)

    def acceptance(self, finding: Finding, by: str, why: str) -> Act:
        """Return the act that accepts a finding, made as the API makes it."""
        trigger = self._history.first_triggers([finding.id]).get(finding.id, "")
        judged = self._history.judgements_of([trigger]).get(trigger)
        at = datetime.fromtimestamp(self._clock.wall(), UTC)
        return acceptance_of(finding, judged, by=by, why=why, at=at, source=SOURCE)

    def open_findings(self) -> list[Finding]:
        """Return the newest versions of findings that are not closed."""
        return self._history.open_findings()

    # handing on

    def hand_on(self) -> None:
        """Hand on what was gathered through analyzer and alerts; without anything, time passes there."""
        self._flushed_at = self._clock.now
        self._idle_s = IDLE_S if self.watch.watched <= LARGE else IDLE_IN_LARGE_S
        acts, self._acts = self._acts, []
        self._give([*acts, *self.watch.take_messages()])

    def _give(self, messages: Sequence[Message]) -> None:
        now = self._clock.now
        self._record.take_observed(list(messages), now)
        found = list(self._loop.run(self._analyzer.handle(messages)))
        recalled = self._recalls.due(self._analyzer.take_unknown(), now, self._analyzer.last_of)
        if recalled:
            self.watch.observe_again(recalled)
        if found:
            self._record.take_findings(found, now)
            for finding in found:
                if isinstance(finding, Finding) and finding.kind is Kind.STATE:
                    matters = finding.severity.rank >= Severity.MEDIUM.rank or not finding.confirmed
                    is_over = finding.status == "closed" or not matters
                    (self._open.discard if is_over else self._open.add)(finding.id)
        before = {name: len(receiver.arrived) for name, receiver in self._receivers.items()}
        self._loop.run(self._alerts.handle(found))
        for name, receiver in self._receivers.items():
            for _, delivery in receiver.arrived[before[name] :]:
                self._record.arrived.setdefault(name, []).append((now, delivery))
