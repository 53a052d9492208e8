"""The analyzer as a stage: ``handle`` a batch, return the findings that changed.

Repeatable: a batch that was applied before returns what it returned then, from the history; what each observation is
compared with is what was known strictly before it. A batch is written before its findings leave.
"""

import asyncio
import heapq
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from analyzer.batch import Batch, Knowledge
from analyzer.endpoints.conditions import (
    NOTHING_KNOWN,
    REPORTED,
    Condition,
    Known,
    conditions_of,
    is_absent,
    of_vantage,
)
from analyzer.endpoints.current import Current, CurrentState
from analyzer.endpoints.drift import Drift, detect_drift
from analyzer.findings.blast import Consumers
from analyzer.findings.book import FindingBook
from analyzer.history import rows
from analyzer.history.rows import Row
from analyzer.zones.expiry import Expiry, decide_tier, expiry_of, left_at_renewal, usual_share
from schemas.catalogue import CATALOGUE, Kind, Severity
from schemas.codes import Code
from schemas.faults import Rejected
from schemas.judgement import Judgement, Verdict, data_of
from schemas.messages import (
    Finding,
    Identity,
    InventoryIndex,
    InventorySnapshot,
    Message,
    Observation,
    PollBatch,
    SelfReport,
    Subject,
    utc,
)
from schemas.wire import id_of

TAKEN = (Observation, PollBatch, InventorySnapshot, InventoryIndex, SelfReport)
MOST_EVIDENCE_KNOWN = 100_000
MOST_UNKNOWN = 10_000
MOST_ENDS_KNOWN = 1_000
LONGEST_GAP = timedelta(hours=1)
EXPIRY_CHECK_S = 30.0
DISK_FULL = "self_disk_full"
REANNOUNCE_CLOSED_WITHIN = timedelta(hours=24)
EXPIRING = frozenset({"rrsig_expiring"})
RENEWED_AGAIN_AFTER = 0.05  # of the lifetime: renewals closer to each other are one


class History(Protocol):
    """What the analyzer remembers; every method blocks and may raise Transient."""

    def append(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Store rows; storing the same rows again changes nothing."""
        ...

    def validated_before(self, until: dict[Subject, datetime]) -> dict[Subject, Judgement]:
        """Return each subject's last secure or insecure judgement strictly before its instant."""
        ...

    def answers_before(self, until: dict[Subject, datetime]) -> dict[Subject, list[str]]:
        """Return each subject's answers of all validated judgements strictly before its instant."""
        ...

    def latest_judgements(self) -> list[tuple[str, datetime, datetime, Judgement]]:
        """Return of every subject the last observation: id, when, when last polled, judgement."""
        ...

    def open_findings(self) -> list[Finding]:
        """Return the newest version of every state that is not closed, and of the drifts of the last day."""
        ...

    def findings(
        self, *, status: str = "", code: str = "", zone: str = "", since: datetime | None = None, limit: int = 1000
    ) -> list[Finding]:
        """Return the newest version of findings, newest first."""
        ...

    def stored_of(self, observations: Sequence[str]) -> set[str]:
        """Return which of these observations are stored, by id."""
        ...

    def judgements_of(self, observations: Sequence[str]) -> dict[str, Judgement]:
        """Return the judgements of those of these observations that are stored, by id."""
        ...

    def polled_until(self, names_by_id: Mapping[str, str]) -> dict[str, datetime]:
        """Return when each of these observations was last polled, by id, given the names that they are of."""
        ...

    def findings_triggered_by(self, triggers: Sequence[str]) -> list[Finding]:
        """Return what these messages caused when they were handled before."""
        ...

    def identities(self) -> list[tuple[str, Identity]]:
        """Return every identity in the inventory."""
        ...

    def renewals(self) -> dict[str, list[float]]:
        """Return for each zone the shares of the lifetime left at its renewals, oldest first."""
        ...


class Analyzer:
    """State: what is the case at each subject, the open findings, who consumes what, and each zone's renewals.

    ``next_ends`` has, of the zones whose signatures end next, when they do; it is looked up every half minute.

    ``taken`` counts the observations that were stored and analysed, ``confirmed`` the polls that went on with one, and
    ``unmatched`` the polls that spoke of one that is neither the subject's last nor stored, and ``dropped`` those that
    are not later than one that was taken in: they came again, or a clock was set back.
    """

    def __init__(
        self, history: History, clock: Callable[[], float], disks: Mapping[str, Callable[[], str]] | None = None
    ) -> None:
        """``disks`` tell of what we write to why it is full, empty while it is not."""
        self._history, self._clock = history, clock
        self._disks = disks or {}
        self._expiry_checked_at = 0.0
        self._loaded = False
        self._prepared: tuple[tuple[str, ...], Batch] | None = None
        self._announce: list[Finding] = []
        self._evidence_known: set[str] = set()
        self._unknown: dict[Subject, str] = {}
        self.taken = self.confirmed = self.unmatched = self.dropped = 0
        self._reset()

    def _reset(self) -> None:
        self.consumers = Consumers()
        self.current = CurrentState()
        self.next_ends: dict[str, datetime] = {}
        self._book = FindingBook(self.consumers, self._behind)
        self._full: dict[str, str] = {}
        self._renewals: dict[str, list[float]] = {}
        self._renewed_at: dict[str, datetime] = {}
        self._lost: set[str] = set()
        self._serving: set[str] = set()

    def _behind(self, zone: str, since: datetime | None) -> set[Subject]:
        """Return the subjects whose chain leads through a zone; with ``since`` only those not polled after it."""
        found = self.current.behind(zone)
        if since is None:
            return found
        return {subject for subject in found if self.current[subject].applied_at <= since}

    def forget(self) -> None:
        """Take up what is stored again before the next batch: another process has been at work."""
        self._loaded = False
        self._prepared = None

    async def handle(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Take in a batch and return the findings that changed; an empty batch means that time passed.

        Raises:
            Transient: the history is away; the same batch may come again.
            Rejected: a message that is none of ours.
        """
        ids = tuple(id_of(message) for message in batch)
        if self._prepared is not None and self._prepared[0] != ids:
            self.forget()  # another batch was given up half handled: what was made of it is stored nowhere
        if not self._loaded:
            self._reset()
            await asyncio.to_thread(self._load)
            self._loaded = True
        for message in batch:
            if not isinstance(message, TAKEN):
                raise Rejected(f"the analyzer has no use for a {type(message).__name__}")
            if isinstance(message, SelfReport) and message.code not in CATALOGUE:
                raise Rejected(f"the catalogue has no {message.code!r}")
        if self._prepared is None:
            knowledge = await self._known_before([m for m in batch if isinstance(m, Observation)])
            await self._learn_spoken_of([m for m in batch if isinstance(m, PollBatch)], knowledge)
            try:
                self._prepared = ids, self._apply(batch, knowledge)
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
        self._prepared = None
        self.taken += len(prepared.tables["observations"])
        if len(self._evidence_known) > MOST_EVIDENCE_KNOWN:
            self._evidence_known.clear()
        self._evidence_known.update(prepared.shared_evidence)
        announced, self._announce = self._announce, []
        return [*announced, *replayed, *prepared.messages]

    def _load(self) -> None:
        """Take up where an earlier process stopped; findings of the last day are announced again, ids and all."""
        for identity_id, identity in self._history.identities():
            self.consumers.put(identity_id, identity)
        self._renewals = self._history.renewals()
        for observation, observed_at, last_seen_at, judgement in self._history.latest_judgements():
            subject = (judgement.name, judgement.type, judgement.vantage)
            if not self.consumers.endpoints_at(judgement.name, judgement.type):
                continue  # nobody consumes it any more
            self._book.vantages.add(judgement.vantage)
            self._set_current(subject, judgement, observation, max(observed_at, last_seen_at))
        open_findings = self._history.open_findings()
        for finding in open_findings:
            self._book.restore(finding, self._members_of(finding), utc(self._clock()))
            if finding.code == "self_vantage_lost":
                self._lost.update(finding.vantages)
            if finding.code == DISK_FULL:
                self._full[finding.cause_rrset] = finding.detail
            if finding.code == "vantage_strips_dnssec" and finding.severity is Severity.CRITICAL:
                self._serving.update(finding.vantages)
        since = utc(self._clock()) - REANNOUNCE_CLOSED_WITHIN
        closed = self._history.findings(status="closed", since=since)
        recent = [f for f in open_findings if f.kind is not Kind.DRIFT or f.updated_at >= since]
        self._announce = sorted([*recent, *closed], key=lambda finding: finding.updated_at)

    def _members_of(self, finding: Finding) -> list[tuple[Subject, Condition, datetime]]:
        """Return which subjects hold a finding open, and until when: those that show it, or else those it named."""
        key = (finding.code, finding.cause_zone, finding.cause_rrset)
        showing = [
            (subject, condition, current.applied_at)
            for subject, current in self.current.items()
            for condition in current.conditions
            if condition.key == key
        ]
        if showing:
            return showing
        named = set(finding.endpoints)
        condition = Condition(*key, finding.severity, finding.detail)
        subjects = [s for s in self.current if f"{s[0]} {s[1]}" in named and s[2] in finding.vantages]
        if not subjects and finding.code in REPORTED:
            subjects = [("", "", vantage) for vantage in finding.vantages]
        return [(subject, condition, finding.updated_at) for subject in subjects]

    def _apply(self, batch: Sequence[Message], knowledge: Knowledge) -> Batch:
        """Take a batch in: no waiting and no asking in here, so that all of it happens or, at a bug, is thrown away."""
        out = Batch()
        for message in batch:
            self._book.trigger = id_of(message)
            match message:
                case Observation():
                    self._take_observation(message, knowledge, out)
                case PollBatch():
                    self._take_polls(message, knowledge, out)
                case InventorySnapshot():
                    self._take_identity(message, out)
                case InventoryIndex():
                    self._take_index(message, out)
                case SelfReport():
                    self._take_report(message)
        self._book.trigger = "time"
        self._check_disks()
        self._check_expiry(self._clock())
        for finding, trigger in self._book.take_changes(utc(self._clock())):
            out.messages.append(finding)
            out.store("findings", rows.finding_row(finding, trigger))
        return out

    async def _known_before(self, observations: Sequence[Observation]) -> Knowledge:
        """Return what was known strictly before the batch's first observation of each subject."""
        until: dict[Subject, datetime] = {}
        late = []
        for message in observations:
            current = self.current.get(message.subject)
            if current is None:
                continue
            until.setdefault(message.subject, message.observed_at)
            if message.observed_at <= current.newest_at:
                late.append(message.id)
        if not until:
            return Knowledge()
        stored = await asyncio.to_thread(self._history.stored_of, late) if late else set()
        baselines = await asyncio.to_thread(self._history.validated_before, until)
        asked = {
            other: until[message.subject]
            for message in observations
            if message.subject in baselines and _is_compared(baselines[message.subject], message.judgement)
            for other in _seen_as(message, self._book.vantages)
        }
        answers = await asyncio.to_thread(self._history.answers_before, asked) if asked else {}
        return Knowledge(baselines, answers, stored)

    async def _learn_spoken_of(self, batches: Sequence[PollBatch], knowledge: Knowledge) -> None:
        """Learn of stored observations that polls go on with instead of the last one, and until when they did.

        While a name moves from one collector to another both observe it, and the last word of the one may arrive after
        the first of the other. Their clocks differ, so a poll is compared with the polls of the same observation only.
        """
        others = {
            observation: subject[0]
            for message in batches
            for subject, observation, _ in _rows_of(message)
            if self.last_of(subject) != observation
            and (subject in self.current or self.consumers.endpoints_at(subject[0], subject[1]))
        }
        if others:
            knowledge.spoken_of.update(await asyncio.to_thread(self._history.judgements_of, sorted(others)))
            knowledge.polled_until.update(await asyncio.to_thread(self._history.polled_until, others))

    def _take_observation(self, message: Observation, knowledge: Knowledge, out: Batch) -> None:
        subject, judgement, at = message.subject, message.judgement, message.observed_at
        earlier = self.current.get(subject)
        # What is late need not be a replay: two collectors may have had the subject for a moment, and clocks differ.
        # The order of arrival says which of them goes on.
        if message.id in knowledge.stored:
            out.replayed.append(message.id)
            return
        knowledge.stored.add(message.id)
        self._book.vantages.add(judgement.vantage)
        out.store("observations", rows.observation_row(message))
        out.store("verdicts", rows.verdict_row(message))
        self._store_evidence(message, out)
        baseline = knowledge.baselines.get(subject)
        if baseline is not None:
            self._take_drift(subject, baseline, message, knowledge.answers.get(subject, ()))
        self._learn_habit(earlier, judgement, at, out)
        known = Known(
            proven=frozenset(
                data
                for other in _seen_as(message, self._book.vantages)
                for data in data_of(knowledge.answers.get(other, ()), judgement.type)
            ),
            serves_dnssec=judgement.vantage in self._serving,
            was_present=baseline is not None and bool(baseline.answers),
        )
        current = self._set_current(subject, judgement, message.id, at, known)
        current.live = True
        knowledge.spoken_of[message.id], knowledge.polled_until[message.id] = judgement, at
        before = _describe(baseline) if baseline is not None else ""
        self._poll(subject, current, at, before=before, after=_describe(judgement))
        if current.validated:
            knowledge.baselines[subject] = judgement

    def _store_evidence(self, message: Observation, out: Batch) -> None:
        if message.evidence is None:
            return
        row, messages = rows.evidence_rows(message.evidence)
        out.store("evidence", row)
        out.store("evidence_messages", *(one for one in messages if one[0] not in self._evidence_known))
        out.shared_evidence.extend(one[0] for one in messages[:-1])  # the answer itself is hardly ever shared

    def _take_drift(self, subject: Subject, baseline: Judgement, message: Observation, learnt: Collection[str]) -> None:
        judgement = message.judgement
        endpoints = self.consumers.endpoints_at(judgement.name, judgement.type)
        # Each row's own set: what one row allows must not permit a change at another one.
        allowed = [endpoint.answers for endpoint in endpoints if endpoint.answers]
        for event in detect_drift(baseline, judgement, allowed=allowed, learnt=() if allowed else learnt):
            self._book.drift(event, subject, message.observed_at, judgement.evidence)

    def _learn_habit(self, earlier: Current | None, judgement: Judgement, at: datetime, out: Batch) -> None:
        now_expiry = expiry_of(judgement)
        if earlier is None or earlier.expiry is None or now_expiry is None:
            return
        renewed_at = self._renewed_at.get(now_expiry.zone)
        same_s = RENEWED_AGAIN_AFTER * (now_expiry.expires_at - now_expiry.inception_at)
        if renewed_at is not None and at - renewed_at < same_s:
            return  # a zone renews all its signatures, and each name below it shows the same renewal
        if at - earlier.applied_at > LONGEST_GAP:
            return  # we were away: when it was renewed is not known
        left = left_at_renewal(earlier.expiry, now_expiry, at)
        if left is not None:
            self._renewed_at[now_expiry.zone] = at
            self._renewals.setdefault(now_expiry.zone, []).append(left)
            out.store("renewals", (now_expiry.zone, at, left))

    def _set_current(
        self, subject: Subject, judgement: Judgement, observation: str, at: datetime, known: Known = NOTHING_KNOWN
    ) -> Current:
        if judgement.verdict is Verdict.SECURE:
            self._serving.add(judgement.vantage)
        endpoints = self.consumers.endpoints_at(judgement.name, judgement.type)
        earlier = self.current.get(subject)
        current = Current(
            applied_at=at,
            newest_at=at if earlier is None else max(at, earlier.newest_at),
            observation=observation,
            verdict=judgement.verdict,
            cause_zone=judgement.cause_zone,
            conditions=conditions_of(judgement, endpoints, known),
            expiry=expiry_of(judgement),
            evidence=judgement.evidence,
            zones=tuple(sys.intern(link.zone) for link in judgement.chain),
            claimed=judgement.resolver is not None,
            claimed_plain=judgement.plain is not None,
            absent=is_absent(judgement),
        )
        self.current.put(subject, current)
        return current

    def _poll(self, subject: Subject, current: Current, at: datetime, before: str = "", after: str = "") -> None:
        conditions: Sequence[Condition] = current.conditions
        if current.verdict is Verdict.INDETERMINATE and subject[2] in self._lost:
            # The vantage is the cause, and has a finding of its own.
            conditions = [c for c in conditions if c.code != "verdict_indeterminate"]
        if current.absent and not self._is_absent_altogether(subject):
            conditions = [c for c in conditions if c.code != "endpoint_absent"]
        self._book.poll(
            subject,
            conditions,
            at,
            evidence=current.evidence,
            before=before,
            after=after,
            says_of=current.says_of,
            ends_at=current.expiry.expires_at if current.expiry is not None else None,
        )

    def _is_absent_altogether(self, subject: Subject) -> bool:
        """Return whether a host has none of the types that are asked for, as far as they are known by now."""
        name, _, vantage = subject
        types = {rdtype for endpoint in self.consumers.endpoints_of(name) for rdtype in endpoint.types}
        others = (self.current.get((name, rdtype, vantage)) for rdtype in types)
        return all(other is not None and other.absent for other in others)

    def _take_polls(self, message: PollBatch, knowledge: Knowledge, out: Batch) -> None:
        verdicts: dict[str, tuple[str, str]] = {}
        for subject, observation, at in _rows_of(message):
            current = self.current.get(subject)
            is_last = current is not None and current.observation == observation
            judgement = knowledge.spoken_of.get(observation)
            if not is_last and judgement is None:
                self._note_unknown(subject, observation)
                continue
            until = current.applied_at if current is not None and is_last else knowledge.polled_until.get(observation)
            if until is not None and at <= until:
                self.dropped += 1  # it came before
                continue
            if judgement is not None and (current is None or not is_last):
                current = self._set_current(subject, judgement, observation, at)
            assert current is not None
            current.applied_at, current.newest_at, current.live = at, max(at, current.newest_at), True
            knowledge.polled_until[observation] = at
            self.confirmed += 1
            verdicts[observation] = (str(current.verdict), current.cause_zone)
            self._poll(subject, current, at)
        out.store("verdicts", *rows.stretched_rows(message, verdicts))
        if not verdicts:
            out.replayed.append(message.id)

    def _note_unknown(self, subject: Subject, observation: str) -> None:
        """Note that polls of a subject that somebody consumes speak of an observation that did not arrive."""
        if subject not in self.current and not self.consumers.endpoints_at(subject[0], subject[1]):
            return
        self.unmatched += 1
        if len(self._unknown) < MOST_UNKNOWN:
            self._unknown[subject] = observation

    def take_unknown(self) -> dict[Subject, str]:
        """Return whose polls spoke of an observation that had not arrived, and its id, since the last call."""
        unknown, self._unknown = self._unknown, {}
        return unknown

    def last_of(self, subject: Subject) -> str | None:
        """Return the observation that says what is the case at a subject, None if there is none."""
        current = self.current.get(subject)
        return None if current is None else current.observation

    def _take_identity(self, message: InventorySnapshot, out: Batch) -> None:
        orphans = self.consumers.put(message.id, message.identity)
        out.store("identities", rows.identity_row(message))
        for subject in [(f"{host}.", rdtype, vantage) for host, rdtype in orphans for vantage in self._book.vantages]:
            self.current.drop(subject)
            because = f"no longer watched: removed from {message.source or 'the inventory'}"
            self._book.forget(subject, message.seen_at, because)

    def _take_index(self, message: InventoryIndex, out: Batch) -> None:
        """Drop who is in the inventory no more, be it that we were not running when they left."""
        if message.vantages:
            self._book.vantages = set(message.vantages)
            for subject in [s for s in self.current if s[2] not in self._book.vantages]:
                self.current.drop(subject)
                because = f"no longer watched: the vantage {subject[2]} was removed from the configuration"
                self._book.forget(subject, message.seen_at, because)
        if message.ids is None:
            return
        present = set(message.ids)
        for identity in self.consumers.all():
            if identity.id not in present:
                self._take_identity(InventorySnapshot(id=identity.id, seen_at=message.seen_at, identity=None), out)

    def _take_report(self, message: SelfReport) -> None:
        over = not message.detail
        row = CATALOGUE[Code(message.code)]
        if row.kind is Kind.DRIFT:
            if not over:
                edge = Drift(message.code, "", message.subject, row.severity, message.detail, "", "")
                self._book.drift(edge, ("", "", ""), message.at, "")
            return
        if message.code == "self_vantage_lost":
            condition = of_vantage(row.code, message.subject, message.detail)
            subjects = [subject for subject in self.current if subject[2] == message.subject]
            if over:
                self._lost.discard(message.subject)
            else:
                self._lost.add(message.subject)
        elif message.code == "spoofing_suspected":
            condition, subjects = of_vantage(row.code, message.subject, message.detail), []
        else:
            condition = Condition(message.code, "", message.subject, row.severity, message.detail)
            subjects = []
        self._book.report(condition, subjects, message.at, over=over)

    def _check_disks(self) -> None:
        """Report a disk that is full, once, and again when it has room."""
        for name, why_full in self._disks.items():
            if (why := why_full()) != self._full.get(name, ""):
                self._full[name] = why
                self._take_report(SelfReport(code=DISK_FULL, subject=name, at=utc(self._clock()), detail=why))

    def _check_expiry(self, now: float) -> None:
        """Look at the clock beside every signature, at most every half minute."""
        if abs(now - self._expiry_checked_at) < EXPIRY_CHECK_S:
            return
        self._expiry_checked_at = now
        at = utc(now)
        habits = {zone: usual_share(shares) for zone, shares in self._renewals.items()}
        ends: dict[str, datetime] = {}
        for subject, current in self.current.items():
            if not current.live or not current.validated:
                continue  # what is stored may be days old; what is bogus has worse to tell
            conditions = []
            if current.expiry is not None:
                zone, ends_at = current.expiry.zone, current.expiry.expires_at
                ends[zone] = min(ends_at, ends.get(zone, ends_at))
                tier = decide_tier(current.expiry, at, habits.get(current.expiry.zone))
                conditions = [] if tier is None else [_expiring(current.expiry, tier, at)]
            self._book.poll(subject, conditions, at, evidence=current.evidence, only=EXPIRING)
        self.next_ends = dict(heapq.nsmallest(MOST_ENDS_KNOWN, ends.items(), key=lambda end: end[1]))

    def findings(self) -> list[Finding]:
        """Return the open states, most severe first."""
        return self._book.open_findings()


def _expiring(expiry: Expiry, severity: Severity, at: datetime) -> Condition:
    left = expiry.expires_at - at
    ends = f"{expiry.expires_at:%Y-%m-%d %H:%M} UTC"
    detail = f"the signatures of {expiry.zone} end at {ends}, {expiry.left_ratio(at):.0%} of their lifetime is left"
    if left < timedelta():
        detail = f"the signatures of {expiry.zone} ended at {ends} and were not renewed"
    return Condition("rrsig_expiring", expiry.zone, "", severity, detail)


def _rows_of(message: PollBatch) -> Iterator[tuple[Subject, str, datetime]]:
    for name, rdtype, observation, at in zip(
        message.names, message.types, message.observations, message.polled_at, strict=True
    ):
        yield (name, rdtype, message.vantage), observation, at


def _is_compared(baseline: Judgement, judgement: Judgement) -> bool:
    """Return whether a judgement must be held against what was seen earlier: it, or a claim, has other answers."""
    claims = (claim for claim in (judgement.resolver, judgement.plain) if claim is not None)
    return baseline.answers != judgement.answers or any(claim.answers != judgement.answers for claim in claims)


def _seen_as(message: Observation, vantages: Iterable[str]) -> list[Subject]:
    """Return the subjects whose earlier answers count as known for a name: its own, and all where it is not signed."""
    name, rdtype, vantage = message.subject
    if message.judgement.verdict is not Verdict.INSECURE:
        return [message.subject]
    return [(name, rdtype, other) for other in sorted({*vantages, vantage})]


def _describe(judgement: Judgement) -> str:
    """Return verdict and answers for people."""
    answers = ", ".join(answer.split(" ", 2)[2] for answer in judgement.answers[:8])
    return f"{judgement.verdict}: {answers or judgement.rcode}"
