"""What observations and polls come to: pure. What must be known from the history is asked for, and handed in.

``needs`` says what a batch must be held against, ``take`` takes it in and returns rows to store and findings to send;
``load`` takes up where an earlier process stopped. Time is an argument.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from itertools import islice

from analyzer.batch import Batch, Knowledge, Needs, Stored
from analyzer.detected import SERVERS, Condition, Drift
from analyzer.endpoints.baseline import learn, shown_last
from analyzer.endpoints.conditions import (
    NOTHING_KNOWN,
    REPORTED,
    Known,
    conditions_of,
    is_absent,
    is_validated_for_clients,
    of_vantage,
)
from analyzer.endpoints.contradictions import Contradictions
from analyzer.endpoints.current import Current, CurrentState, owner_of_data
from analyzer.endpoints.drift import detect_drift, detect_forbidden
from analyzer.endpoints.gaps import Gaps
from analyzer.endpoints.vantages import Views, may_be_stray
from analyzer.findings.acts import Acts, check_acceptance, counting
from analyzer.findings.attribution import CauseKey, whole_of
from analyzer.findings.blast import Consumers
from analyzer.findings.book import FindingBook
from analyzer.findings.changes import announcement_of
from analyzer.findings.environments import Environments
from analyzer.findings.radius import Radius
from analyzer.history import rows
from analyzer.zones.cadence import Cadence
from analyzer.zones.drift import VALIDATED
from analyzer.zones.expiry import (
    Agenda,
    Expiry,
    decide_tier,
    expiries_of,
    expiry_of,
    is_renewed,
    next_look_at,
)
from analyzer.zones.faults import SWEPT
from analyzer.zones.sweeps import SweptZones, read_memory, swept_subject, write_memory
from analyzer.zones.timeline import Timeline, ZoneState
from schemas.catalogue import CATALOGUE, Kind, Severity
from schemas.cause import CHANGE
from schemas.codes import Code
from schemas.judgement import Judgement, Verdict, data_of
from schemas.messages import (
    Act,
    Evidence,
    Finding,
    InventoryIndex,
    InventorySnapshot,
    Message,
    Observation,
    PollBatch,
    SelfReport,
    Subject,
    ZoneObservation,
    ZoneSweep,
    utc,
)
from schemas.wire import id_of

MOST_UNKNOWN = 10_000
MOST_ENDS_KNOWN = 1_000
LONGEST_GAP = timedelta(hours=1)
EXPIRY_CHECK_S = 30.0
GAP_CHECK_S = 60.0
DISK_FULL = Code.SELF_DISK_FULL
REANNOUNCE_CLOSED_WITHIN = timedelta(hours=24)
WITNESS_AWAY = timedelta(minutes=2)  # a witness that was not polled for so long gives way to any other name
EXPIRING = frozenset({Code.RRSIG_EXPIRING, Code.RRSIG_REFRESH_OVERDUE})
SOME_NAMES = 16
PolledRow = tuple[Subject, str, datetime, int, int]


class Analysis:
    """State: what is the case at each endpoint and in each zone, the open findings, who consumes what, and renewals.

    ``taken`` counts the observations that were analysed, ``confirmed`` the polls that went on with one, ``unmatched``
    the polls that spoke of one that is neither the subject's last nor stored, and ``dropped`` those that are not later
    than one that was taken in: they came again, or a clock was set back.
    """

    def __init__(self, interval_s: float | None = None) -> None:
        """``interval_s`` is how often each endpoint is to be polled; None where that is not known."""
        self.consumers = Consumers()
        self.current = CurrentState()
        self.zones = Timeline()
        self.swept = SweptZones()
        self.taken = self.confirmed = self.unmatched = self.dropped = 0
        self._book = FindingBook(Radius(self.consumers, self._behind))
        self._views = Views(self.current)
        self._contradictions = Contradictions(self.current)
        self._environments = Environments(self.consumers)
        self._gaps = Gaps(self.current, interval_s) if interval_s is not None else None
        self._gaps_looked_at = 0.0
        self._agenda = Agenda()
        self.acts = Acts()
        # Zones that show something, or hold a finding open: each with the subject whose polls count for it.
        self._witnesses: dict[Subject, tuple[Subject, datetime] | None] = {}
        self._stale: set[Subject] = set()
        self._unneeded: dict[str, datetime] = {}  # swept zones that nothing is watched behind
        self._unclaimed: dict[Subject, datetime] = {}  # zones that no chain leads through yet
        self._expiring: set[Subject] = set()
        self._expiry_checked_at = 0.0
        self._full: dict[str, str] = {}
        self._cadence = Cadence()
        self._zone_renewed: dict[Subject, dict[str, Expiry]] = {}
        self._lost: set[str] = set()
        self._serving: set[str] = set()
        self._validating: set[str] = set()
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._unknown: dict[Subject, str] = {}
        self._zone_names: dict[str, str] = {}

    def _behind(self, zone: str, vantage: str, since: datetime | None) -> Iterator[Iterable[Subject]]:
        """Yield by chain the subjects that lead through a zone, without a vantage as any sees it.

        With ``since`` only those not polled after it.
        """
        for one in [vantage] if vantage else sorted(self._book.vantages):
            for subjects in self.current.chains_behind(zone, one):
                yield subjects if since is None else [s for s in subjects if self.current[s].applied_at <= since]

    def _is_needed(self, zone: str) -> bool:
        """Return whether any vantage sees something that is watched behind a zone."""
        return any(self.current.is_through(zone, vantage) for vantage in self._book.vantages)

    # what was known before

    def load(self, stored: Stored, now: float) -> list[Finding]:
        """Take up where an earlier process stopped; return the findings of the last day, to be announced again."""
        for identity_id, identity in stored.identities:
            self.consumers.put(identity_id, identity)
        self._environments.load()
        self._validating.update(*(f.vantages for f in stored.open_findings if f.code == Code.RESOLVER_NTA_SUSPECTED))
        self._validating.update(
            judgement.vantage for *_, judgement in stored.judgements if is_validated_for_clients(judgement)
        )
        self._cadence = Cadence(stored.renewals)
        self.acts = Acts(counting(stored.acts, {finding.id: finding for finding in stored.accepted}))
        for observation, observed_at, last_seen_at, judgement in stored.judgements:
            if not self.consumers.endpoints_at(judgement.name, judgement.type):
                continue  # nobody consumes it any more
            self._book.vantages.add(judgement.vantage)
            subject = (judgement.name, judgement.type, judgement.vantage)
            known = Known(validates=judgement.vantage in self._validating)
            self._set_current(subject, judgement, observation, max(observed_at, last_seen_at), known)
        self._restore_views(stored)
        for subject in [subject for subject, current in self.current.items() if current.denies]:
            self._contradictions.look(subject, [subject[1]])
        above = {zone for name, _, _ in self.current for zone in _ancestors_of(name)}
        for message in stored.zones:
            if message.zone in above or self.current.is_through(message.zone, message.vantage):
                self._stale.add(message.subject)
                self._set_zone(message)
        self._witnesses.update({subject: None for subject, state in self.zones.items() if state.conditions})
        for zone, vantage, memory in stored.swept:
            if self._is_needed(zone):
                self.swept.restore(zone, vantage, read_memory(memory))
        open_keys = {(one.code, one.cause_zone, one.cause_rrset) for one in stored.open_findings}
        for finding in stored.open_findings:
            self._book.restore(finding, self._members_of(finding, utc(now), open_keys), utc(now))
            if finding.code == Code.SELF_VANTAGE_LOST:
                self._lost.update(finding.vantages)
            if finding.code == DISK_FULL:
                self._full[finding.cause_rrset] = finding.detail
            if finding.code == Code.VANTAGE_STRIPS_DNSSEC and finding.severity is Severity.CRITICAL:
                self._serving.update(finding.vantages)
        for finding in stored.closed_findings:
            if finding.kind is Kind.DRIFT:  # accepted: seen from elsewhere, too, it is the same change
                self._book.restore(finding, (), utc(now))
        since = utc(now) - REANNOUNCE_CLOSED_WITHIN
        recent = [f for f in stored.open_findings if f.kind is not Kind.DRIFT or f.updated_at >= since]
        return sorted([*recent, *stored.closed_findings], key=lambda finding: finding.updated_at)

    def _restore_views(self, stored: Stored) -> None:
        """Take up which names the vantages see differently."""
        for subject in self.current if len(self._book.vantages) > 1 else ():
            self._views.take_verdict(subject, self._book.vantages)
        told = [finding for finding in stored.open_findings if may_be_stray(finding)]
        by_endpoint: dict[str, list[Judgement]] = {one: [] for finding in told for one in finding.endpoints}
        for _, _, _, judgement in stored.judgements if by_endpoint else ():
            shown = by_endpoint.get(f"{judgement.name} {judgement.type}")
            if shown is not None and judgement.verdict is Verdict.INSECURE:
                shown.append(judgement)
        for finding in told:
            for endpoint in finding.endpoints:
                self._views.restore(finding, by_endpoint[endpoint])

    def _members_of(
        self, finding: Finding, now: datetime, open_keys: Collection[CauseKey]
    ) -> list[tuple[Subject, Condition, datetime]]:
        """Return which subjects hold a finding open, and until when: those that show it, or else those it named."""
        key = (finding.code, finding.cause_zone, finding.cause_rrset)
        showing = [
            (subject, condition, current.applied_at)
            for subject, current in self.current.items()
            for condition in self._own(current.conditions, current.chain, subject[2])
            if condition.key == key
        ]
        for subject, state in self.zones.items():
            for condition in state.conditions:
                if condition.key == key:
                    showing.append((subject, condition, state.observation.observed_at))
                    self._witnesses[subject] = None
            if finding.code in EXPIRING and subject[2] in finding.vantages and self._is_ending(state, finding, now):
                shown = Condition(*key, finding.severity, finding.detail)
                showing.append((subject, shown, finding.updated_at))
                self._expiring.add(subject)
        showing += self._shown_by_servers(finding, open_keys)
        if showing:
            return showing
        named = set(finding.endpoints)
        condition = Condition(*key, finding.severity, finding.detail)
        subjects = [s for s in self.current if f"{s[0]} {s[1]}" in named and s[2] in finding.vantages]
        if not subjects and finding.code in REPORTED:
            subjects = [("", "", vantage) for vantage in finding.vantages]
        return [(subject, condition, finding.updated_at) for subject in subjects]

    def _shown_by_servers(
        self, finding: Finding, open_keys: Collection[CauseKey]
    ) -> list[tuple[Subject, Condition, datetime]]:
        """Return the zones whose servers show a finding, be it at a name that has none of its own (``open_keys``)."""
        key = (finding.code, finding.cause_zone, finding.cause_rrset)
        found: dict[Subject, tuple[Subject, Condition, datetime]] = {}
        for subject, shown, at in self.swept.conditions():
            if key == (shown.key if shown.key in open_keys else whole_of(shown.key)):
                before = found[subject][1].servers if subject in found else ()
                servers = tuple(sorted({*before, *shown.servers}))
                found[subject] = (subject, replace(shown, cause_rrset=key[2], servers=servers), at)
        return list(found.values())

    def _is_ending(self, state: ZoneState, finding: Finding, now: datetime) -> bool:
        ends = [one for one in expiries_of(state.observation) if one.zone == finding.cause_zone]
        if finding.code == Code.RRSIG_REFRESH_OVERDUE:
            return any(self._is_overdue(one, now) for one in ends)
        return any(decide_tier(one, now, self._cadence.usual_share(one)) is not None for one in ends)

    def _is_overdue(self, expiry: Expiry, now: datetime) -> bool:
        overdue_at = self._cadence.overdue_at(expiry)
        return overdue_at is not None and now > overdue_at

    def needs(self, batch: Sequence[Message]) -> Needs:
        """Return what must be known of the time before a batch, and of observations that its polls speak of."""
        needs = Needs()
        for message in batch:
            match message:
                case ZoneObservation():
                    state = self.zones.get(message.subject)
                    if state is None:
                        needs.zones.add((message.zone, message.vantage))
                    if state is None or message.observed_at <= state.observation.observed_at:
                        needs.late_zones.append(message.id)
                case ZoneSweep():
                    needs.sweeps[message.id] = message.zone
                    if swept_subject(message) not in self.swept:
                        needs.swept.add((message.zone, message.vantage))
                case Observation():
                    vantage = message.judgement.vantage
                    chain = [link.zone for link in message.judgement.chain]
                    needs.zones.update((zone, vantage) for zone in chain if (zone, "", vantage) not in self.zones)
                    current = self.current.get(message.subject)
                    if current is None:
                        continue
                    needs.until.setdefault(message.subject, message.observed_at)
                    if message.observed_at <= current.newest_at:
                        needs.late.append(message.id)
                case PollBatch():
                    for subject, observation, *_ in _rows_of(message):
                        current = self.current.get(subject)
                        if (current is None or current.observation != observation) and self._is_watched(subject):
                            needs.spoken_of[observation] = subject[0]
                case Act(kind="accept"):
                    needs.accepted.append(message.subject)
        return needs

    def needs_sightings(
        self, batch: Sequence[Message], until: Mapping[Subject, datetime], baselines: Mapping[Subject, Judgement]
    ) -> dict[Subject, datetime]:
        """Return whose earlier answers a batch must be held against, and before when."""
        return {
            other: until[message.subject]
            for message in batch
            if isinstance(message, Observation) and message.subject in baselines
            if _is_compared(baselines[message.subject], message.judgement)
            for other in _seen_as(message, self._book.vantages)
        }

    def _is_watched(self, subject: Subject) -> bool:
        return subject in self.current or bool(self.consumers.endpoints_at(subject[0], subject[1]))

    # what comes in

    def take(
        self, batch: Sequence[Message], knowledge: Knowledge, now: float, full: Mapping[str, str] | None = None
    ) -> Batch:
        """Take a batch in; an empty one means that time passed. ``full`` says why which disk is full, or nothing."""
        out = Batch()
        for earlier in knowledge.zones:  # of zones that no chain led through for a while
            if earlier.subject not in self._stale and earlier.subject in self.zones:
                continue
            self._stale.add(earlier.subject)
            self._unclaimed[earlier.subject] = earlier.observed_at
            if self._set_zone(earlier).conditions:
                self._witnesses[earlier.subject] = None
        for zone, vantage, memory in knowledge.swept:
            if (zone, SERVERS, vantage) not in self.swept:
                self.swept.restore(zone, vantage, read_memory(memory))
        for message in batch:
            self._book.trigger = id_of(message)
            match message:
                case ZoneObservation():
                    self._take_zone(message, knowledge, out)
                case ZoneSweep():
                    self._take_sweep(message, knowledge, out, utc(now))
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
                case Act():
                    self._take_act(message, knowledge, out)
        self._book.trigger = "time"
        self._check_disks(full or {}, now)
        self._check_expiry(now)
        self._check_gaps(now)
        for finding, trigger in self._book.take_changes(utc(now)):
            out.messages.append(finding)
            out.store("findings", rows.finding_row(finding, trigger))
        return out

    def next_due_at(self) -> float | None:
        """Return when an empty batch may say something new, in POSIX seconds."""
        return self._agenda.next_at()

    # zones

    def _take_zone(self, message: ZoneObservation, knowledge: Knowledge, out: Batch) -> None:
        if message.id in knowledge.stored:
            out.replayed.append(message.id)
            return
        knowledge.stored.add(message.id)
        self._store_evidence(message.evidence, out)
        # Stored even so: if it comes again after the zone changed, it must be known as what came before.
        repeats = self.zones.adds_nothing(message)
        out.store("zones", rows.zone_row(message, repeats=repeats))
        if repeats:
            return
        subject, at = message.subject, message.observed_at
        earlier = self.zones.get(subject)
        validated = earlier.validated if earlier is not None else None
        ttl_s = validated.link.ttl_s if validated is not None else 0
        state = self._set_zone(message)
        for edge in state.drifts:
            self._book.drift(self.acts.lower(edge, at, lag_s=ttl_s), subject, at, message.evidence.digest)
        self._stale.discard(subject)
        if not self.current.is_through(message.zone, message.vantage):
            self._unclaimed.setdefault(subject, at)
        for window in message.windows:
            if (expiry := expiry_of(window)) is not None:
                renewed = self._zone_renewed.setdefault(subject, {})
                self._learn_habit(renewed.get(window.rrset), expiry, at, earlier is not None, out)
                renewed[window.rrset] = expiry
        if state.conditions or subject in self._witnesses:
            self._witnesses[subject] = None
            self._poll_zone(subject, state, at)

    def _take_sweep(self, message: ZoneSweep, knowledge: Knowledge, out: Batch, now: datetime) -> None:
        if message.id in knowledge.stored:
            out.replayed.append(message.id)
            return
        knowledge.stored.add(message.id)
        if message.evidence is not None:
            self._store_evidence(message.evidence, out)
        earlier = self.swept.get(swept_subject(message))
        review = self.swept.take(message, now, self._is_consumed)
        if review is None:
            self.dropped += 1
            out.store("sweeps", rows.sweep_row(message, min(message.swept_at, now), ""))
            return
        out.store("sweeps", rows.sweep_row(message, review.at, write_memory(review.memory)))
        if not self._is_needed(message.zone):
            return
        subject, evidence = swept_subject(message), message.evidence.digest if message.evidence is not None else ""
        lag_s = max((review.at - earlier.swept_at).total_seconds(), 0.0) if earlier is not None else 0.0
        for edge in review.drifts:
            self._book.drift(self.acts.lower(edge, review.at, lag_s=lag_s), subject, review.at, evidence)
        self._book.poll(subject, review.conditions, review.at, evidence=evidence, only=SWEPT)

    def _is_consumed(self, rrset: str) -> bool:
        name, _, rdtype = rrset.partition(" ")
        return bool(self.consumers.endpoints_at(name, rdtype))

    def _drop_swept(self, at: datetime) -> None:
        """Forget the servers of zones that nothing watched lies behind for an hour: an alias leads here and there."""
        unneeded = {subject[0] for subject in self.swept if not self._is_needed(subject[0])}
        self._unneeded = {zone: self._unneeded.get(zone, at) for zone in unneeded}
        for zone, since in self._unneeded.items():
            if at - since >= LONGEST_GAP:
                self._forget_servers(zone, at, f"no longer watched: no name is seen in {zone}")

    def _forget_servers(self, zone: str, at: datetime, because: str) -> None:
        for subject in self.swept.of_zone(zone):
            self._book.forget(subject, at, because)
            self.swept.drop(subject)

    def _set_zone(self, message: ZoneObservation) -> ZoneState:
        state = self.zones.put(message)
        if message.windows:
            self._agenda.put(message.subject, 0.0)
        return state

    def _poll_zone(self, subject: Subject, state: ZoneState, at: datetime) -> None:
        """Count a poll of a zone; what it does not show any more and no finding holds open needs no witness."""
        conditions: Sequence[Condition] = state.conditions
        if subject[2] in self._lost:
            conditions = [c for c in conditions if c.code != Code.VERDICT_INDETERMINATE]
        ends = [window.expires_at for window in state.observation.windows]
        self._book.poll(
            subject,
            conditions,
            at,
            evidence=state.observation.evidence.digest,
            after=str(state.observation.link.verdict),
            says_of=state.says_of,
            ends_at=min(ends, default=None),
        )
        if not state.conditions and not self._book.holds(subject):
            self._witnesses.pop(subject, None)

    def _witness(self, subject: Subject, current: Current, at: datetime) -> None:
        """Count a poll of a name for the zones of its chain: of each zone the polls of one name count.

        So a zone is confirmed and found healed after as many looks as a name, however many names lie below it.
        """
        for zone in current.chain:
            of_zone = (zone, "", subject[2])
            if of_zone not in self._witnesses:
                continue
            state = self.zones.get(of_zone)
            if state is None or (zone in current.broken and state.observation.link.verdict in VALIDATED):
                continue  # a name that still sees the zone broken is no evidence that it is whole
            witness, counted_at = self._witnesses[of_zone] or (subject, at)
            seen = self.current.get(witness)
            is_nearer = seen is not None and zone in current.broken and zone not in seen.broken
            if seen is None or zone not in seen.chain or is_nearer or at - counted_at >= WITNESS_AWAY:
                witness = subject
            if witness != subject:
                continue
            self._witnesses[of_zone] = (subject, at)
            if at != state.observation.observed_at:
                self._poll_zone(of_zone, state, at)

    # endpoints

    def _take_observation(self, message: Observation, knowledge: Knowledge, out: Batch) -> None:
        subject, judgement, at = message.subject, message.judgement, message.observed_at
        earlier = self.current.get(subject)
        # What is late need not be a replay: two collectors may have had the subject for a moment, and clocks differ.
        # The order of arrival says which of them goes on.
        if message.id in knowledge.stored:
            out.replayed.append(message.id)
            return
        knowledge.stored.add(message.id)
        self.taken += 1
        self._book.vantages.add(judgement.vantage)
        out.store("observations", rows.observation_row(message))
        out.store("verdicts", rows.verdict_row(message))
        if message.evidence is not None:
            self._store_evidence(message.evidence, out)
        baseline = knowledge.baselines.get(subject)
        self._take_drift(subject, baseline, message, knowledge)
        known = Known(
            proven=frozenset(
                sighting.data
                for other in _seen_as(message, self._book.vantages)
                for sighting in knowledge.sightings.get(other, ())
                if sighting.type == judgement.type
            ),
            serves_dnssec=judgement.vantage in self._serving,
            validates=judgement.vantage in self._validating,
            was_present=baseline is not None and bool(baseline.answers),
        )
        current = self._set_current(subject, judgement, message.id, at, known)
        if message.signed is not None:
            ends = message.signed.inception_at, message.signed.expires_at
            current.window = int(ends[0].timestamp()), int(ends[1].timestamp())
        self._keep_expiry(subject, current, earlier, expiry_of(message.signed), at, out)
        knowledge.spoken_of[message.id], knowledge.polled_until[message.id] = judgement, at
        self._compare(subject)
        before = _describe(baseline) if baseline is not None else ""
        self._poll(subject, current, at, before=before, after=_describe(judgement))
        if current.validated:
            knowledge.baselines[subject] = judgement

    def _store_evidence(self, evidence: Evidence, out: Batch) -> None:
        row, messages = rows.evidence_rows(evidence)
        out.store("evidence", row)
        out.store("evidence_messages", *messages)

    def _take_drift(
        self, subject: Subject, before: Judgement | None, message: Observation, knowledge: Knowledge
    ) -> None:
        judgement, at = message.judgement, message.observed_at
        endpoints = self.consumers.endpoints_at(judgement.name, judgement.type)
        accepted = self.acts.accepted_answers(*subject)
        # Each row's own set: one row must not permit a change at another one.
        allowed = [{*endpoint.answers, *accepted} for endpoint in endpoints if endpoint.answers]
        if before is None:
            for event in detect_forbidden(judgement, allowed):
                planned = self.acts.lower(event, at, came=data_of(judgement.answers, judgement.type))
                self._book.drift(planned, subject, at, judgement.evidence)
            return
        seen = {other: knowledge.sightings.get(other, []) for other in _seen_as(message, self._book.vantages)}
        learnt = {
            other: learn(sightings, judgement.type, at).accepting(self.acts.accepted_answers(*other))
            for other, sightings in seen.items()
        }
        undeclared = len(allowed) < len(endpoints)
        changed: Drift | None = None
        came = data_of(judgement.answers, judgement.type) - data_of(before.answers, judgement.type)
        for event in detect_drift(before, judgement, allowed=allowed, undeclared=undeclared, baseline=learnt[subject]):
            planned = self.acts.lower(event, at, lag_s=before.ttl_s, came=came)
            self._book.drift(planned, subject, at, judgement.evidence)
            changed = planned if event.code == Code.ANSWER_CHANGED else changed
        if judgement.verdict is Verdict.INSECURE and judgement.answers != before.answers:
            others = {
                other[2]: (learnt[other], shown_last(seen[other], judgement.type)) for other in seen if other != subject
            }
            self._views.take_answers(judgement, at, changed, learnt[subject], others)
        elif judgement.verdict is Verdict.SECURE and self._views:
            self._views.drop(subject, self._book.vantages)

    def _set_current(
        self, subject: Subject, judgement: Judgement, observation: str, at: datetime, known: Known = NOTHING_KNOWN
    ) -> Current:
        if judgement.verdict is Verdict.SECURE:
            self._serving.add(judgement.vantage)
        if is_validated_for_clients(judgement):
            self._validating.add(judgement.vantage)
        endpoints = self.consumers.endpoints_at(judgement.name, judgement.type)
        earlier = self.current.get(subject)
        chain = tuple(self._zone_names.setdefault(link.zone, link.zone) for link in judgement.chain)
        zones = chain
        if earlier is not None and judgement.verdict not in VALIDATED:
            # A chain that breaks above a zone says nothing of it: the name is still behind that zone.
            # Of aliases only those of the last sound chain: a hostile one may lead elsewhere at every poll.
            held = {*earlier.sound, *_ancestors_of(subject[0])}
            zones = (*chain, *(zone for zone in earlier.zones if zone in held and zone not in chain))
        current = Current(
            applied_at=at,
            newest_at=at if earlier is None else max(at, earlier.newest_at),
            observation=observation,
            verdict=judgement.verdict,
            cause_zone=judgement.cause_zone,
            conditions=(*conditions_of(judgement, endpoints, known), *self._environments.answered(judgement)),
            expiry=None,
            renewed=earlier.renewed if earlier is not None else None,
            signer=_signer_of(judgement),
            evidence=judgement.evidence,
            zones=zones,
            chain=chain,
            sound=chain if judgement.verdict in VALIDATED or earlier is None else earlier.sound,
            broken=tuple(link.zone for link in judgement.chain if link.verdict not in VALIDATED),
            claimed=judgement.resolver is not None,
            claimed_plain=judgement.plain is not None,
            absent=is_absent(judgement),
            owner=owner_of_data(judgement),
            denies=self._shared.setdefault(judgement.denies, judgement.denies),
        )
        self.current.put(subject, current)
        for zone in zones if earlier is None or earlier.zones != zones else ():
            if earlier is None or zone not in earlier.zones:
                self._book.grow((zone, "", subject[2]))
        for zone in earlier.zones if earlier is not None and earlier.zones != zones else ():
            of_zone = (zone, "", subject[2])
            if of_zone in self.zones and not self.current.is_through(zone, subject[2]):
                # It may come back with the next poll: an alias leads here and there.
                self._unclaimed[of_zone] = at
                self._stale.add(of_zone)
        return current

    def _own(self, conditions: tuple[Condition, ...], zones: Sequence[str], vantage: str) -> tuple[Condition, ...]:
        """Return the conditions that are the name's own: a zone of its chain shows the others by itself."""
        if not conditions:
            return conditions
        states = [self.zones.get((zone, "", vantage)) for zone in zones]
        of_zones = {condition.key for state in states if state is not None for condition in state.conditions}
        return tuple(condition for condition in conditions if condition.key not in of_zones) if of_zones else conditions

    def _drop_zones(self, zones: Iterable[str], vantage: str, at: datetime) -> None:
        """Forget zones that no chain leads through any more; what they held open is over, and is said to be."""
        for zone in zones:
            subject = (zone, "", vantage)
            if subject in self.zones and not self.current.is_through(zone, vantage):
                if self._book.holds(subject):
                    self._book.forget(subject, at, f"no longer watched: no name is seen in {zone} through {vantage}")
                self.zones.drop(subject)
                self._agenda.drop(subject)
                self._witnesses.pop(subject, None)
                self._expiring.discard(subject)
                self._stale.discard(subject)
                self._unclaimed.pop(subject, None)
                self._zone_renewed.pop(subject, None)
            if not self._is_needed(zone):
                self._cadence.forget(zone)
                self._zone_names.pop(zone, None)

    def _keep_expiry(
        self,
        subject: Subject,
        current: Current,
        earlier: Current | None,
        expiry: Expiry | None,
        at: datetime,
        out: Batch,
    ) -> None:
        """Note how the signature over the answer ends now, and what its renewal says of the zone's habit."""
        known, current.expiry, current.live = current.expiry, expiry, True
        if expiry is None:
            return
        if is_renewed(current.renewed, expiry):
            seen_lately = earlier is not None and at - earlier.applied_at <= LONGEST_GAP
            self._learn_habit(current.renewed, expiry, at, seen_lately, out)
            current.renewed = expiry
        if subject in self._expiring or known is None or expiry.expires_at < known.expires_at:
            self._agenda.put(subject, 0.0)

    def _learn_habit(self, earlier: Expiry | None, expiry: Expiry, at: datetime, lately: bool, out: Batch) -> None:
        if earlier is None or not lately:
            return  # when it was renewed is not known
        renewal = self._cadence.learn(earlier, expiry, at)
        if renewal is not None:
            left, interval_s = renewal
            out.store("renewals", (expiry.zone, at, left, expiry.of_keys, interval_s))

    def _poll(self, subject: Subject, current: Current, at: datetime, before: str = "", after: str = "") -> None:
        # Held against what the zones show now: what a zone shows no more, a name that still shows it holds by itself.
        conditions: Sequence[Condition] = self._own(current.conditions, current.chain, subject[2])
        if current.verdict is Verdict.INDETERMINATE and subject[2] in self._lost:
            # The vantage is the cause, and has a finding of its own.
            conditions = [c for c in conditions if c.code != Code.VERDICT_INDETERMINATE]
        if current.absent and not self._is_absent_altogether(subject):
            conditions = [c for c in conditions if c.code != Code.ENDPOINT_ABSENT]
        if self._environments:
            conditions = [*conditions, *self._environments.shared(subject, current)]
        if self._contradictions:
            conditions = [*conditions, *self._contradictions.of(subject)]
        if self._views:
            conditions = [*conditions, *self._views.conditions(subject, self._book.vantages)]
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
        if self._stale:
            self._freshen(current.chain, subject[2])
        if self._witnesses:
            self._witness(subject, current, at)

    def _freshen(self, zones: Iterable[str], vantage: str) -> None:
        """Note that what is stored of zones still holds: a name behind them was polled since this process started."""
        for zone in zones:
            subject = (zone, "", vantage)
            if subject in self._stale:
                self._stale.discard(subject)
                self._agenda.put(subject, 0.0)

    def _compare(self, subject: Subject) -> None:
        """Hold what was observed of a subject against other vantages and other types of the name."""
        self._views.take_verdict(subject, self._book.vantages)
        self._contradictions.look(subject, self._types_of(subject[0]))

    def _types_of(self, name: str) -> set[str]:
        """Return the types that somebody consumes of a name."""
        return {rdtype for endpoint in self.consumers.endpoints_of(name) for rdtype in endpoint.types}

    def _is_absent_altogether(self, subject: Subject) -> bool:
        """Return whether a host has none of the types that are asked for, as far as they are known by now."""
        name, _, vantage = subject
        others = (self.current.get((name, rdtype, vantage)) for rdtype in self._types_of(name))
        return all(other is not None and other.absent for other in others)

    def _take_polls(self, message: PollBatch, knowledge: Knowledge, out: Batch) -> None:
        verdicts: dict[str, tuple[str, str]] = {}
        for subject, observation, at, inception, expiration in _rows_of(message):
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
                self._compare(subject)
            assert current is not None
            window = (inception, expiration) if message.expirations else current.window
            if window != current.window or not current.live:
                current.window = window
                self._keep_expiry(subject, current, current, _expiry(current.signer, *window), at, out)
            current.applied_at, current.newest_at = at, max(at, current.newest_at)
            knowledge.polled_until[observation] = at
            self.confirmed += 1
            verdicts[observation] = (str(current.verdict), current.cause_zone)
            self._poll(subject, current, at)
        out.store("verdicts", *rows.stretched_rows(message, verdicts))
        if not verdicts:
            out.replayed.append(message.id)

    def _note_unknown(self, subject: Subject, observation: str) -> None:
        """Note that polls of a subject that somebody consumes speak of an observation that did not arrive."""
        if not self._is_watched(subject):
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

    # what people did

    def _take_act(self, message: Act, knowledge: Knowledge, out: Batch) -> None:
        if self.acts.knows(message):
            out.replayed.append(message.id)
            return
        out.store("acts", rows.act_row(message))
        finding = None
        if message.kind == "accept":
            finding = self._book.find_drift(message.subject) or knowledge.accepted.get(message.subject)
        problems = check_acceptance(message, finding) if message.kind == "accept" else []
        problems = problems or self.acts.put(message)
        out.acts.append((message, "; ".join(problems)))
        if problems:
            return
        if finding is not None:
            self._accept(message, finding)
        elif message.kind == "declare_change":
            announcement = announcement_of(message, f"{CHANGE}{message.subject}")
            for subject in self._meant_by(message.subject):
                self._book.drift(announcement, subject, message.at, "")

    def _accept(self, message: Act, finding: Finding) -> None:
        """Close a drift that somebody takes as planned; what is the case now is what later changes are held against."""
        if self._book.find_drift(finding.id) is None:
            self._book.restore(finding, (), message.at)
        because = f"accepted by {message.by}" + (f": {message.why}" if message.why else "")
        self._book.accept(message.subject, message.by, because, message.at)

    def _meant_by(self, name: str) -> list[Subject]:
        """Return what is watched of a zone, else of a name; what is not watched has nobody behind it."""
        zones = [(name, "", vantage) for vantage in sorted(self._book.vantages) if (name, "", vantage) in self.zones]
        return zones or [subject for subject in self.current if subject[0] == name] or [("", "", "")]

    # the inventory, and ourselves

    def _take_identity(self, message: InventorySnapshot, out: Batch) -> None:
        earlier = self.consumers.get(message.id)
        is_new = earlier != message.identity
        orphans = self.consumers.put(message.id, message.identity)
        if is_new:
            self._environments.change(earlier, message.identity)
        out.store("identities", rows.identity_row(message))
        for endpoint in message.identity.endpoints if message.identity is not None and is_new else ():
            for rdtype in endpoint.types:
                for vantage in self._book.vantages:
                    self._grow((f"{endpoint.host}.", rdtype, vantage))
        because = f"no longer watched: removed from {message.source or 'the inventory'}"
        for subject in [(f"{host}.", rdtype, vantage) for host, rdtype in orphans for vantage in self._book.vantages]:
            self._forget(subject, message.seen_at, because)

    def _grow(self, subject: Subject) -> None:
        """Have the findings that a subject is affected by drawn again: more depends on it than did."""
        current = self.current.get(subject)
        if current is not None:
            for one in (subject, *((zone, "", subject[2]) for zone in current.zones)):
                self._book.grow(one)

    def _forget(self, subject: Subject, at: datetime, because: str) -> None:
        current = self.current.get(subject)
        self.current.drop(subject)
        self._agenda.drop(subject)
        self._expiring.discard(subject)
        self._book.forget(subject, at, because)
        if self._views:
            self._views.drop(subject, self._book.vantages)
        self._contradictions.look(subject, {subject[1], *self._types_of(subject[0])})
        if current is None:
            return
        for zone in current.zones:
            of_zone = (zone, "", subject[2])
            if of_zone in self.zones and not self.current.is_through(zone, subject[2]):
                self._book.forget(of_zone, at, because)
            for swept in self.swept.of_zone(zone):
                self._book.forget(swept, at, because, rrset=f"{subject[0]} {subject[1]}")
            if not self._is_needed(zone):
                self._forget_servers(zone, at, because)
        self._drop_zones(current.zones, subject[2], at)

    def _take_index(self, message: InventoryIndex, out: Batch) -> None:
        """Drop who is in the inventory no more, be it that we were not running when they left."""
        if message.vantages:
            self._book.vantages = set(message.vantages)
            for subject in [s for s in self.current if s[2] not in self._book.vantages]:
                because = f"no longer watched: the vantage {subject[2]} was removed from the configuration"
                self._forget(subject, message.seen_at, because)
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
        if message.code == Code.SELF_VANTAGE_LOST:
            condition = of_vantage(row.code, message.subject, message.detail)
            subjects = [subject for subject in self.current if subject[2] == message.subject]
            if over:
                self._lost.discard(message.subject)
            else:
                self._lost.add(message.subject)
        elif message.code == Code.SPOOFING_SUSPECTED:
            condition, subjects = of_vantage(row.code, message.subject, message.detail), []
        else:
            condition = Condition(message.code, "", message.subject, row.severity, message.detail)
            subjects = []
        self._book.report(condition, subjects, message.at, over=over)

    def _check_disks(self, full: Mapping[str, str], now: float) -> None:
        """Report a disk that is full, once, and again when it has room."""
        for name, why in full.items():
            if why != self._full.get(name, ""):
                self._full[name] = why
                self._take_report(SelfReport(code=DISK_FULL, subject=name, at=utc(now), detail=why))

    def _check_gaps(self, now: float) -> None:
        """Report endpoints that are not polled while others are, one finding a vantage, at most once a minute."""
        if self._gaps is None or abs(now - self._gaps_looked_at) < GAP_CHECK_S:
            return
        self._gaps_looked_at = now
        late = self._gaps.look(utc(now), self.consumers.subjects(tuple(self._book.vantages)), self._is_expected)
        for vantage in self._book.vantages if late is not None else ():
            # A vantage that is lost has a finding of its own.
            missed = [subject for subject in late or () if subject[2] == vantage and vantage not in self._lost]
            such = ", ".join(f"{name} {rdtype}" for name, rdtype, _ in missed[:3])
            minutes = self._gaps.patience.total_seconds() / 60
            detail = f"{len(missed)} endpoints were not polled through {vantage} for {minutes:.0f} minutes: {such}"
            self._book.hold(of_vantage(Code.SELF_OBSERVATION_GAP, vantage, detail), missed, utc(now))

    def _is_expected(self, subject: Subject) -> bool:
        return subject[2] in self._book.vantages and self._is_watched(subject)

    # signatures that run out

    def _check_expiry(self, now: float) -> None:
        """Look at those whose signatures may have come closer to their end, at most every half minute."""
        if abs(now - self._expiry_checked_at) < EXPIRY_CHECK_S:
            return
        self._expiry_checked_at = now
        at = utc(now)
        for subject in [one for one, since in self._unclaimed.items() if abs(at - since) >= LONGEST_GAP]:
            del self._unclaimed[subject]
            self._drop_zones((subject[0],), subject[2], at)
        self._drop_swept(at)
        for subject in sorted({*self._agenda.take(now), *self._expiring}):
            if subject[1]:
                self._look_at_endpoint(subject, at)
            else:
                self._look_at_zone(subject, at)

    def _look_at_endpoint(self, subject: Subject, at: datetime) -> None:
        current = self.current.get(subject)
        if current is None or not current.live or current.verdict is Verdict.INDETERMINATE:
            return  # silence renews nothing, and what is stored may be days old; the first poll puts it on the agenda
        # What is bogus has worse to tell.
        expiries = [current.expiry] if current.expiry is not None and current.validated else []
        self._look(subject, expiries, at, current.evidence)

    def _look_at_zone(self, subject: Subject, at: datetime) -> None:
        state = self.zones.get(subject)
        if state is None or subject in self._stale:
            return
        message = state.observation
        if message.link.verdict is Verdict.INDETERMINATE and state.validated is not None:
            message = state.validated  # silence renews nothing
        validated = message.link.verdict in VALIDATED
        expiries = expiries_of(message) if validated else []
        self._look(subject, expiries, at, message.evidence.digest)

    def _look(self, subject: Subject, expiries: Sequence[Expiry], at: datetime, evidence: str) -> None:
        conditions: dict[tuple[str, str], Condition] = {}
        for expiry in sorted(expiries, key=lambda one: one.expires_at):
            habit, overdue_at = self._cadence.usual_share(expiry), self._cadence.overdue_at(expiry)
            tier = decide_tier(expiry, at, habit)
            if tier is not None:
                conditions.setdefault((Code.RRSIG_EXPIRING, expiry.zone), _expiring(expiry, tier, at))
            if self._is_overdue(expiry, at) and self._is_seen(subject, at):
                overdue = _overdue(expiry, at, self._cadence.usual_interval(expiry))
                conditions.setdefault((Code.RRSIG_REFRESH_OVERDUE, expiry.zone), overdue)
            if (look_at := next_look_at(expiry, at, habit, overdue_at)) is not None:
                self._agenda.put(subject, look_at.timestamp())
        self._book.poll(subject, list(conditions.values()), at, evidence=evidence, only=EXPIRING)
        if conditions or self._book.holds(subject, EXPIRING):
            self._expiring.add(subject)
        else:
            self._expiring.discard(subject)

    def _is_seen(self, subject: Subject, at: datetime) -> bool:
        """Return whether what is known of a subject is known from lately: a renewal that nobody saw is none missed."""
        if subject[2] in self._lost:
            return False
        if subject[1]:
            return at - self.current[subject].applied_at <= LONGEST_GAP
        behind = next(self.current.chains_behind(subject[0], subject[2]), frozenset())
        return any(at - self.current[one].applied_at <= LONGEST_GAP for one in islice(behind, SOME_NAMES))

    @property
    def next_ends(self) -> dict[str, datetime]:
        """Return of the zones whose signatures end next, when they do: the soonest thousand."""
        ends: dict[str, datetime] = {}
        for current in list(self.current.values()):
            if current.live and current.validated and current.expiry is not None:
                zone, ends_at = current.expiry.zone, current.expiry.expires_at
                ends[zone] = min(ends_at, ends.get(zone, ends_at))
        for state in list(self.zones.values()):
            for window in state.observation.windows if state.observation.subject not in self._stale else ():
                ends[window.zone] = min(window.expires_at, ends.get(window.zone, window.expires_at))
        return dict(nsmallest(MOST_ENDS_KNOWN, ends.items(), key=lambda end: end[1]))

    def findings(self) -> list[Finding]:
        """Return the open states, most severe first."""
        return self._book.open_findings()


def _expiring(expiry: Expiry, severity: Severity, at: datetime) -> Condition:
    left = expiry.expires_at - at
    ends = f"{expiry.expires_at:%Y-%m-%d %H:%M} UTC"
    detail = f"the signatures of {expiry.zone} end at {ends}, {expiry.left_ratio(at):.0%} of their lifetime is left"
    if left < timedelta():
        detail = f"the signatures of {expiry.zone} ended at {ends} and were not renewed"
    return Condition(Code.RRSIG_EXPIRING, expiry.zone, "", severity, detail)


def _overdue(expiry: Expiry, at: datetime, usual: timedelta | None) -> Condition:
    row, what = CATALOGUE[Code.RRSIG_REFRESH_OVERDUE], "key set" if expiry.of_keys else "data"
    detail = (
        f"{expiry.zone} renews the signatures over its {what} every {_days(usual or timedelta())}, and those that are"
        f" served now begin {_days(at - expiry.inception_at)} ago; they end {expiry.expires_at:%Y-%m-%d %H:%M} UTC"
    )
    return Condition(row.code, expiry.zone, "", row.severity, detail)


def _days(time: timedelta) -> str:
    return (
        f"{time.total_seconds() / 86_400:.1f} days"
        if time >= timedelta(days=2)
        else f"{time.total_seconds() / 3600:.0f} h"
    )


def _expiry(zone: str, inception: int, expiration: int) -> Expiry | None:
    if not expiration or expiration <= inception:
        return None
    return Expiry(zone, datetime.fromtimestamp(inception, UTC), datetime.fromtimestamp(expiration, UTC))


def _ancestors_of(name: str) -> Iterator[str]:
    """Yield a name and every name above it, the root last."""
    while name not in ("", "."):
        yield name
        name = name.partition(".")[2]
    yield "."


def _signer_of(judgement: Judgement) -> str:
    """Return the zone whose keys sign the answer."""
    zones = [link.zone for link in judgement.links if link.zone]
    return zones[-1] if zones else judgement.name


def _rows_of(message: PollBatch) -> Iterator[PolledRow]:
    columns = (message.names, message.types, message.observations, message.polled_at)
    unknown = (0,) * len(message.names)
    for name, rdtype, observation, at, inception, expiration in zip(
        *columns, message.inceptions or unknown, message.expirations or unknown, strict=True
    ):
        yield (name, rdtype, message.vantage), observation, at, inception, expiration


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
