"""The analyzer as a stage: ``handle`` a batch, return the findings that changed.

Repeatable: a batch that was applied before returns what it returned then, from the history; what each observation is
compared with is what was known strictly before it. A batch is written before its findings leave.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from analyzer.analysis import REANNOUNCE_CLOSED_WITHIN, Analysis
from analyzer.batch import Batch, Knowledge, Stored
from analyzer.endpoints.current import CurrentState
from analyzer.findings.acts import STANDING, Acts
from analyzer.findings.blast import Consumers
from analyzer.findings.changes import Plan
from analyzer.history.protocol import History
from analyzer.zones.rollover import ROLLOVERS_TAKE
from analyzer.zones.sweeps import SweptZones
from analyzer.zones.timeline import Timeline
from schemas.catalogue import find_row
from schemas.faults import Rejected
from schemas.messages import (
    Act,
    Finding,
    InventoryIndex,
    InventorySnapshot,
    Message,
    Observation,
    PollBatch,
    Recall,
    SelfReport,
    Subject,
    ZoneObservation,
    ZoneSweep,
    utc,
)
from schemas.wire import id_of

log = logging.getLogger(__name__)

# A recall is our own word to the collectors, and lies on the topic of what people did.
TAKEN = (ZoneObservation, ZoneSweep, Observation, PollBatch, InventorySnapshot, InventoryIndex, SelfReport, Act, Recall)


class Analyzer:
    """Drives the analysis: asks the history what it needs to know, stores what comes of it, hands findings on."""

    def __init__(
        self,
        history: History,
        clock: Callable[[], float],
        disks: Mapping[str, Callable[[], str]] | None = None,
        plans: Sequence[Plan] = (),
        *,
        interval_s: float | None = None,
    ) -> None:
        """``disks`` tell why what we write to is full, or nothing; ``plans`` are changes that the configuration has.

        ``interval_s`` is how often each endpoint is to be polled; where it is not known, no gap is looked for.
        """
        self._history, self._clock = history, clock
        self._disks, self._plans = disks or {}, plans
        self._own: list[Act] = []
        self._interval_s = interval_s
        self._analysis = Analysis(interval_s)
        self._loaded = False
        self._is_planned_anew = False
        self._prepared: tuple[tuple[str, ...], Batch] | None = None
        self._announce: list[Finding] = []
        self.taken = 0

    def forget(self) -> None:
        """Take up what is stored again before the next batch: another process has been at work."""
        self._loaded = False
        self._prepared = None

    def plan(self, plans: Sequence[Plan], interval_s: float | None) -> None:
        """Take other changes and another interval from the next batch on; what is stored is taken up again for it."""
        self._plans, self._interval_s = plans, interval_s
        self._is_planned_anew = True

    async def handle(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Take in a batch and return the findings that changed; an empty batch means that time passed.

        Raises:
            Transient: the history is unavailable; the same batch may come again.
            Rejected: a message that is none of ours.
        """
        if self._is_planned_anew:
            self._is_planned_anew = False
            self.forget()
        ids = tuple(id_of(message) for message in batch)
        if self._prepared is not None and self._prepared[0] != ids:
            self.forget()  # another batch was given up half handled: what was made of it is stored nowhere
        if not self._loaded:
            # Made beside the one of before, which answers whoever asks meanwhile: an empty one would say that nobody is
            # watched.
            fresh = Analysis(self._interval_s, self._analysis.counts)
            self._announce = await asyncio.to_thread(self._load, fresh)
            self._analysis, self._loaded = fresh, True
        for message in batch:
            if not isinstance(message, TAKEN):
                raise Rejected(f"the analyzer has no use for a {type(message).__name__}")
            if isinstance(message, SelfReport) and find_row(message.code) is None:
                raise Rejected(f"the catalogue has no {message.code!r}")
        if self._prepared is None:
            knowledge = await self._learn(batch)
            try:
                self._prepared = ids, self._take([*self._own, *batch], knowledge)
            except BaseException:
                self._loaded = False  # a bug left the state half changed: what is stored is the truth
                raise
        prepared = self._prepared[1]
        try:
            await asyncio.to_thread(self._history.append, prepared.tables)
        except Rejected:
            self.forget()  # the halves of the batch come one by one, and are compared with what is stored
            raise
        replayed: list[Finding] = []
        if prepared.replayed:
            replayed = await asyncio.to_thread(self._history.findings_triggered_by, prepared.replayed)
        self._prepared, self._own = None, []
        for act, why_not in prepared.acts:
            _log_act(act, why_not)
        self.taken += len(prepared.tables["observations"])
        announced, self._announce = self._announce, []
        return [*announced, *replayed, *prepared.messages]

    def _take(self, batch: Sequence[Message], knowledge: Knowledge) -> Batch:
        """Take a batch in: no waiting and no asking in here, so that all of it happens or, at a bug, is thrown away."""
        full = {name: why_full() for name, why_full in self._disks.items()}
        return self._analysis.take(batch, knowledge, self._clock(), full)

    def _load(self, analysis: Analysis) -> list[Finding]:
        """Take up where an earlier process stopped; return findings of the last day, ids and all."""
        history, now = self._history, self._clock()
        acts = history.standing_acts(STANDING)
        stored = Stored(
            identities=history.identities(),
            renewals=history.renewals(),
            judgements=history.latest_judgements(),
            zones=history.zones_lately(utc(now) - ROLLOVERS_TAKE),
            swept=history.sweep_memories(),
            open_findings=history.open_findings(),
            closed_findings=history.findings(status="closed", since=utc(now) - REANNOUNCE_CLOSED_WITHIN),
            acts=acts,
            accepted=history.findings_of([act.subject for act in acts if act.kind == "accept"]),
        )
        announce = analysis.load(stored, now)
        self._own = analysis.acts.follow(self._plans, utc(now))
        return announce

    async def _learn(self, batch: Sequence[Message]) -> Knowledge:
        """Ask the history what the batch must be held against.

        While a name moves from one collector to another both observe it, and the last word of the one may arrive after
        the first of the other. Their clocks differ, so a poll is compared with the polls of the same observation only.
        """
        needs, history = self._analysis.needs(batch), self._history
        knowledge = Knowledge()
        if needs.late:
            knowledge.stored.update(await asyncio.to_thread(history.stored_of, needs.late))
        if needs.late_zones:
            knowledge.stored.update(await asyncio.to_thread(history.zones_stored_of, needs.late_zones))
        if needs.zones:
            since = utc(self._clock()) - ROLLOVERS_TAKE
            knowledge.zones.extend(await asyncio.to_thread(history.zones_lately, since, sorted(needs.zones)))
        if needs.sweeps:
            knowledge.stored.update(await asyncio.to_thread(history.sweeps_stored_of, needs.sweeps))
        if needs.swept:
            knowledge.swept.extend(await asyncio.to_thread(history.sweep_memories, sorted(needs.swept)))
        if needs.until:
            knowledge.baselines.update(await asyncio.to_thread(history.validated_before, needs.until))
            asked = self._analysis.needs_sightings(batch, needs.until, knowledge.baselines)
            if asked:
                knowledge.sightings.update(await asyncio.to_thread(history.sightings_before, asked))
        if needs.accepted:
            found = await asyncio.to_thread(history.findings_of, needs.accepted)
            knowledge.accepted.update({finding.id: finding for finding in found})
        if needs.spoken_of:
            ids = sorted(needs.spoken_of)
            knowledge.spoken_of.update(await asyncio.to_thread(history.judgements_of, ids))
            knowledge.polled_until.update(await asyncio.to_thread(history.polled_until, needs.spoken_of))
        return knowledge

    @property
    def acts(self) -> Acts:
        """Return what people did that still counts."""
        return self._analysis.acts

    @property
    def current(self) -> CurrentState:
        """Return what is the case at each subject."""
        return self._analysis.current

    @property
    def zones(self) -> Timeline:
        """Return what is the case in each zone."""
        return self._analysis.zones

    @property
    def swept(self) -> SweptZones:
        """Return what is remembered of the servers of each zone."""
        return self._analysis.swept

    @property
    def consumers(self) -> Consumers:
        """Return who consumes what."""
        return self._analysis.consumers

    @property
    def confirmed(self) -> int:
        """Return how many polls went on with an observation."""
        return self._analysis.counts.confirmed

    @property
    def unmatched(self) -> int:
        """Return how many polls spoke of an observation that is unknown."""
        return self._analysis.counts.unmatched

    @property
    def dropped(self) -> int:
        """Return how many polls were not later than one that was taken in."""
        return self._analysis.counts.dropped

    @property
    def next_ends(self) -> dict[str, datetime]:
        """Return of the zones whose signatures end next, when they do."""
        return self._analysis.next_ends

    def take_unknown(self) -> dict[Subject, str]:
        """Return whose polls spoke of an observation that had not arrived, and its id, since the last call."""
        return self._analysis.take_unknown()

    def last_of(self, subject: Subject) -> str | None:
        """Return the observation that says what is the case at a subject, None if there is none."""
        return self._analysis.last_of(subject)

    def findings(self) -> list[Finding]:
        """Return the open states, most severe first."""
        return self._analysis.findings()


def _log_act(act: Act, why_not: str) -> None:
    """Log what somebody did: who can act can also try to hide something."""
    shown = {"act": act.id, "kind": act.kind, "who": act.by, "subject": act.subject, "why": act.why, "via": act.source}
    if why_not:
        log.warning("an act has no effect", extra={**shown, "detail": why_not})
    else:
        log.info("an act was taken in", extra=shown)
