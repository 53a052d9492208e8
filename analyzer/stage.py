"""The analyzer as a stage: ``handle`` a batch, return the findings that changed.

Repeatable: a batch that was applied before returns what it returned then, from the history; what each observation is
compared with is what was known strictly before it. A batch is written before its findings leave.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from analyzer import rows
from analyzer.blast import Consumers
from analyzer.conditions import Condition, conditions_of, of_vantage
from analyzer.drift import detect_drift
from analyzer.expiry import Expiry, decide_tier, expiry_of, left_at_renewal
from analyzer.rows import Row
from analyzer.tracking import FindingBook, Subject
from schemas.catalogue import CATALOGUE, Kind, Severity
from schemas.faults import Rejected
from schemas.judgement import Judgement, Verdict
from schemas.messages import (
    Finding,
    FindingStatus,
    Identity,
    InventoryIndex,
    InventorySnapshot,
    Message,
    Observation,
    PollBatch,
    SelfReport,
    utc,
)
from schemas.wire import digest_of, encode

EXPIRY_CHECK_S = 30.0
REANNOUNCE_CLOSED_WITHIN = timedelta(hours=24)
EXPIRING = frozenset({"rrsig_expiring"})
# What a judgement without a verdict says nothing about: everything but its own failure to come to one.
SILENT_WHEN_INDETERMINATE = frozenset(CATALOGUE) - {"verdict_indeterminate", "vantage_strips_dnssec"}


class History(Protocol):
    """What the analyzer remembers; every method blocks and may raise Transient."""

    def append(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Store rows; storing the same rows again changes nothing."""
        ...

    def validated_before(self, until: dict[Subject, datetime]) -> dict[Subject, Judgement]:
        """Return each subject's last secure or insecure judgement strictly before its instant."""
        ...

    def answers_before(self, subject: Subject, at: datetime) -> list[str]:
        """Return every answer of the subject's validated judgements strictly before ``at``."""
        ...

    def latest_judgements(self) -> list[tuple[str, datetime, datetime, Judgement]]:
        """Return of every subject the last observation: id, when, when last polled, judgement."""
        ...

    def open_findings(self) -> list[Finding]:
        """Return the newest version of every finding that is not closed."""
        ...

    def findings(
        self, *, status: str = "", code: str = "", zone: str = "", since: datetime | None = None, limit: int = 1000
    ) -> list[Finding]:
        """Return the newest version of findings, newest first."""
        ...

    def findings_triggered_by(self, triggers: Sequence[str]) -> list[Finding]:
        """Return what these messages caused when they were handled before."""
        ...

    def identities(self) -> list[tuple[str, Identity]]:
        """Return every identity in the inventory."""
        ...

    def habits(self) -> dict[str, float]:
        """Return for each zone the smallest share of the lifetime left at a renewal."""
        ...


@dataclass(slots=True)
class Current:
    """What is the case at one subject now; ``applied_at`` is its last poll, ``zones`` are its chain's, root first."""

    applied_at: datetime
    observation: str
    verdict: Verdict
    cause_zone: str
    conditions: tuple[Condition, ...]
    expiry: Expiry | None
    evidence: str
    zones: tuple[str, ...]

    @property
    def validated(self) -> bool:
        """Return whether the verdict may serve as a baseline."""
        return self.verdict in (Verdict.SECURE, Verdict.INSECURE)


@dataclass(slots=True)
class Batch:
    """What handling one batch has produced so far."""

    observations: list[Row] = field(default_factory=list)
    verdicts: list[Row] = field(default_factory=list)
    evidence: list[Row] = field(default_factory=list)
    evidence_messages: list[Row] = field(default_factory=list)
    identities: list[Row] = field(default_factory=list)
    renewals: list[Row] = field(default_factory=list)
    findings: list[Row] = field(default_factory=list)
    messages: list[Finding] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)

    def tables(self) -> dict[str, Sequence[Row]]:
        """Return the rows by table."""
        return {name: getattr(self, name) for name in self.__slots__ if name not in ("messages", "replayed")}


class Analyzer:
    """State: what is the case at each subject, the open findings, who consumes what, and each zone's habit."""

    def __init__(self, history: History, clock: Callable[[], float]) -> None:
        self._history, self._clock = history, clock
        self.consumers = Consumers()
        self._book = FindingBook(self.consumers, self._behind)
        self.current: dict[Subject, Current] = {}
        self._habits: dict[str, float] = {}
        self._lost: set[str] = set()
        self._expiry_checked_at = 0.0
        self._loaded = False
        self._prepared: tuple[tuple[str, ...], Batch] | None = None
        self._announce: list[Finding] = []
        self._evidence_known: set[str] = set()

    async def handle(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Take in a batch and return the findings that changed; an empty batch means that time passed.

        Raises:
            Transient: the history is away; the same batch may come again.
            Rejected: a message that is none of ours.
        """
        if not self._loaded:
            await asyncio.to_thread(self._load)
            self._loaded = True
        ids = tuple(_identity_of(message) for message in batch)
        if self._prepared is None or self._prepared[0] != ids:
            self._prepared = ids, await self._apply(batch)
        prepared = self._prepared[1]
        await asyncio.to_thread(self._history.append, prepared.tables())
        replayed: list[Finding] = []
        if prepared.replayed:
            replayed = await asyncio.to_thread(self._history.findings_triggered_by, prepared.replayed)
        self._prepared = None
        announced, self._announce = self._announce, []
        return [*announced, *replayed, *prepared.messages]

    def _load(self) -> None:
        """Take up where an earlier process stopped; findings of the last day are announced again, ids and all."""
        for identity_id, identity in self._history.identities():
            self.consumers.put(identity_id, identity)
        self._habits = self._history.habits()
        for observation, observed_at, last_seen_at, judgement in self._history.latest_judgements():
            subject = (judgement.name, judgement.type, judgement.vantage)
            self._book.vantages.add(judgement.vantage)
            self._set_current(subject, judgement, observation, max(observed_at, last_seen_at))
        open_findings = self._history.open_findings()
        for finding in open_findings:
            self._book.restore(finding, self._members_of(finding))
            if finding.code == "self_vantage_lost":
                self._lost.update(finding.vantages)
        since = utc(self._clock()) - REANNOUNCE_CLOSED_WITHIN
        closed = self._history.findings(status="closed", since=since)
        recent = [f for f in open_findings if f.kind is not Kind.DRIFT or f.updated_at >= since]
        self._announce = sorted([*recent, *closed], key=lambda finding: finding.updated_at)

    def _members_of(self, finding: Finding) -> list[tuple[Subject, Condition]]:
        """Return which subjects hold a finding open: those that show it, or else those that it named."""
        key = (finding.code, finding.cause_zone, finding.cause_rrset)
        showing = [
            (subject, condition)
            for subject, current in self.current.items()
            for condition in current.conditions
            if condition.key == key
        ]
        if showing:
            return showing
        named = set(finding.endpoints)
        condition = Condition(*key, finding.severity, finding.detail)
        subjects = [s for s in self.current if f"{s[0]} {s[1]}" in named and s[2] in finding.vantages]
        return [(subject, condition) for subject in subjects or [("", "", vantage) for vantage in finding.vantages]]

    async def _apply(self, batch: Sequence[Message]) -> Batch:
        out = Batch()
        observations = [message for message in batch if isinstance(message, Observation)]
        baselines = await self._baselines(observations)
        for message in batch:
            self._book.trigger = _identity_of(message)
            match message:
                case Observation():
                    await self._take_observation(message, baselines, out)
                case PollBatch():
                    self._take_polls(message, out)
                case InventorySnapshot():
                    self._take_identity(message, out)
                case InventoryIndex():
                    self._take_index(message, out)
                case SelfReport():
                    self._take_report(message)
                case _:
                    raise Rejected(f"the analyzer has no use for a {type(message).__name__}")
        self._book.trigger = "time"
        self._check_expiry(self._clock())
        for finding, trigger in self._book.take_changes():
            out.messages.append(finding)
            out.findings.append(rows.finding_row(finding, trigger))
        return out

    async def _baselines(self, observations: Sequence[Observation]) -> dict[Subject, Judgement]:
        """Return the last validated judgement of each subject strictly before the batch's first of it."""
        until: dict[Subject, datetime] = {}
        for message in observations:
            if message.subject in self.current and message.subject not in until:
                until[message.subject] = message.observed_at
        if not until:
            return {}
        return await asyncio.to_thread(self._history.validated_before, until)

    async def _take_observation(self, message: Observation, baselines: dict[Subject, Judgement], out: Batch) -> None:
        subject, judgement, at = message.subject, message.judgement, message.observed_at
        earlier = self.current.get(subject)
        if earlier is not None and at <= earlier.applied_at:
            out.replayed.append(message.id)
            return
        self._book.vantages.add(judgement.vantage)
        out.observations.append(rows.observation_row(message))
        out.verdicts.append(rows.verdict_row(message))
        self._store_evidence(message, out)
        baseline = baselines.get(subject)
        if baseline is not None:
            await self._take_drift(subject, baseline, message)
        self._learn_habit(earlier, judgement, at, out)
        current = self._set_current(subject, judgement, message.id, at)
        before = _describe(baseline) if baseline is not None else ""
        self._poll(subject, current, at, before=before, after=_describe(judgement))
        if current.validated:
            baselines[subject] = judgement

    def _store_evidence(self, message: Observation, out: Batch) -> None:
        if message.evidence is None:
            return
        row, messages = rows.evidence_rows(message.evidence)
        out.evidence.append(row)
        for one in messages:
            if one[0] not in self._evidence_known:
                out.evidence_messages.append(one)
        if len(self._evidence_known) > 100_000:
            self._evidence_known.clear()
        self._evidence_known.update(one[0] for one in messages[:-1])  # the answer itself is hardly ever shared

    async def _take_drift(self, subject: Subject, baseline: Judgement, message: Observation) -> None:
        judgement = message.judgement
        endpoints = self.consumers.endpoints_at(judgement.name, judgement.type)
        allowed = {answer for endpoint in endpoints for answer in endpoint.answers}
        events = detect_drift(baseline, judgement, allowed=allowed)
        if any(event.code == "answer_changed" for event in events) and not allowed:
            learnt = await asyncio.to_thread(self._history.answers_before, subject, message.observed_at)
            events = detect_drift(baseline, judgement, allowed=allowed, learnt=learnt)
        for event in events:
            self._book.drift(event, subject, message.observed_at, judgement.evidence)

    def _learn_habit(self, earlier: Current | None, judgement: Judgement, at: datetime, out: Batch) -> None:
        now_expiry = expiry_of(judgement)
        if earlier is None or earlier.expiry is None or now_expiry is None:
            return
        left = left_at_renewal(earlier.expiry, now_expiry, at)
        if left is not None and left < self._habits.get(now_expiry.zone, 2.0):
            self._habits[now_expiry.zone] = left
            out.renewals.append((now_expiry.zone, at, left))

    def _set_current(self, subject: Subject, judgement: Judgement, observation: str, at: datetime) -> Current:
        endpoints = self.consumers.endpoints_at(judgement.name, judgement.type)
        current = self.current[subject] = Current(
            applied_at=at,
            observation=observation,
            verdict=judgement.verdict,
            cause_zone=judgement.cause_zone,
            conditions=conditions_of(judgement, endpoints),
            expiry=expiry_of(judgement),
            evidence=judgement.evidence,
            zones=tuple(sys.intern(link.zone) for link in judgement.chain),
        )
        return current

    def _behind(self, zone: str) -> list[Subject]:
        return [subject for subject, current in self.current.items() if zone in current.zones]

    def _poll(self, subject: Subject, current: Current, at: datetime, before: str = "", after: str = "") -> None:
        conditions: Sequence[Condition] = current.conditions
        keep: frozenset[str] = frozenset()
        if current.verdict is Verdict.INDETERMINATE:
            keep = SILENT_WHEN_INDETERMINATE
            if subject[2] in self._lost:
                # The vantage is the cause, and has a finding of its own.
                conditions = [c for c in conditions if c.code != "verdict_indeterminate"]
        evidence = current.evidence
        self._book.poll(subject, conditions, at, evidence=evidence, before=before, after=after, keep=keep)

    def _take_polls(self, message: PollBatch, out: Batch) -> None:
        verdicts: dict[str, tuple[str, str]] = {}
        for name, rdtype, observation, at in zip(
            message.names, message.types, message.observations, message.polled_at, strict=True
        ):
            subject = (name, rdtype, message.vantage)
            current = self.current.get(subject)
            if current is None or current.observation != observation or at <= current.applied_at:
                continue
            current.applied_at = at
            verdicts[observation] = (str(current.verdict), current.cause_zone)
            self._poll(subject, current, at)
        out.verdicts.extend(rows.stretched_rows(message, verdicts))
        if not verdicts:
            out.replayed.append(message.id)

    def _take_identity(self, message: InventorySnapshot, out: Batch) -> None:
        orphans = self.consumers.put(message.id, message.identity)
        out.identities.append(rows.identity_row(message))
        if not orphans:
            return
        for subject in [s for s in self.current if (s[0].rstrip("."), s[1]) in orphans]:
            del self.current[subject]
            self._book.forget(subject, message.seen_at)

    def _take_index(self, message: InventoryIndex, out: Batch) -> None:
        """Drop who is in the inventory no more, be it that we were not running when they left."""
        present = set(message.ids)
        for identity in self.consumers.all():
            if identity.id not in present:
                self._take_identity(InventorySnapshot(id=identity.id, seen_at=message.seen_at, identity=None), out)

    def _take_report(self, message: SelfReport) -> None:
        over = not message.detail
        if message.code == "self_vantage_lost":
            condition = of_vantage(message.code, message.subject, message.detail)
            subjects = [subject for subject in self.current if subject[2] == message.subject]
            if over:
                self._lost.discard(message.subject)
            else:
                self._lost.add(message.subject)
        else:
            severity = CATALOGUE[message.code].severity
            condition = Condition(message.code, "", message.subject, severity, message.detail)
            subjects = []
        self._book.report(condition, subjects, message.at, over=over)

    def _check_expiry(self, now: float) -> None:
        """Look at the clock beside every signature, at most every half minute."""
        if now - self._expiry_checked_at < EXPIRY_CHECK_S:
            return
        self._expiry_checked_at = now
        at = utc(now)
        for subject, current in self.current.items():
            if current.expiry is None:
                continue
            tier = decide_tier(current.expiry, at, self._habits.get(current.expiry.zone))
            conditions = [] if tier is None else [_expiring(current.expiry, tier, at)]
            self._book.poll(subject, conditions, at, evidence=current.evidence, only=EXPIRING)

    def findings(self) -> list[Finding]:
        """Return the open states, most severe first."""
        return [finding for finding in self._book.open_findings() if finding.status is not FindingStatus.CLOSED]


def _expiring(expiry: Expiry, severity: Severity, at: datetime) -> Condition:
    left = expiry.expires_at - at
    ends = f"{expiry.expires_at:%Y-%m-%d %H:%M} UTC"
    detail = f"the signatures of {expiry.zone} end at {ends}, {expiry.left_ratio(at):.0%} of their lifetime is left"
    if left < timedelta():
        detail = f"the signatures of {expiry.zone} ended at {ends} and were not renewed"
    return Condition("rrsig_expiring", expiry.zone, "", severity, detail)


def _identity_of(message: Message) -> str:
    """Return what names a message for ever."""
    if isinstance(message, Observation | PollBatch):
        return message.id
    return digest_of(encode(message))[:32]


def _describe(judgement: Judgement) -> str:
    """Return verdict and answers for people."""
    answers = ", ".join(answer.split(" ", 2)[2] for answer in judgement.answers[:8])
    return f"{judgement.verdict}: {answers or judgement.rcode}"
