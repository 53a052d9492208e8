"""Endpoints as vantages see them: observations that say what is the case, and polls that say it still is.

The polls are the hot path: nearly all of them say that nothing changed.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from analyzer.answer_drift import AnswerDrift
from analyzer.batch import Batch, Counts, Knowledge, Stored, polls_of
from analyzer.detected import Condition, condition_of
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
from analyzer.endpoints.current import Current, owner_of_data, signer_of, zones_behind
from analyzer.endpoints.vantages import Views
from analyzer.estate import Estate
from analyzer.findings.attribution import CauseKey
from analyzer.findings.book import FindingBook
from analyzer.findings.environments import Environments
from analyzer.history import rows
from analyzer.needs import seen_as
from analyzer.signatures import Signatures
from analyzer.watched_zones import WatchedZones
from analyzer.zones.expiry import expiry_between, expiry_of
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import VALIDATED, Judgement, Verdict
from schemas.messages import Finding, Observation, PollBatch, Subject

MOST_UNKNOWN = 10_000


class WatchedEndpoints:
    """State: which vantages have served and validated DNSSEC, how names compare, and polls of what is not known."""

    def __init__(
        self,
        estate: Estate,
        book: FindingBook,
        zones: WatchedZones,
        signatures: Signatures,
        environments: Environments,
        counts: Counts,
    ) -> None:
        self._estate, self._current, self._book = estate, estate.current, book
        self._zones, self._signatures, self._counts = zones, signatures, counts
        self._environments = environments
        self._views = Views(estate.current)
        self._contradictions = Contradictions(estate.current)
        self._drift = AnswerDrift(estate, book, self._views)
        self._serving: set[str] = set()
        self._validating: set[str] = set()
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._unknown: dict[Subject, str] = {}

    # what was known before

    def restore(self, stored: Stored) -> None:
        """Take up what an earlier process knew of what somebody still consumes."""
        self._validating.update(*(f.vantages for f in stored.open_findings if f.code == Code.RESOLVER_NTA_SUSPECTED))
        self._validating.update(
            judgement.vantage for *_, judgement in stored.judgements if is_validated_for_clients(judgement)
        )
        for observation, observed_at, last_seen_at, judgement in stored.judgements:
            if not self._estate.consumers.endpoints_at(judgement.name, judgement.type):
                continue  # nobody consumes it any more
            self._estate.vantages.add(judgement.vantage)
            subject = (judgement.name, judgement.type, judgement.vantage)
            known = Known(validates=judgement.vantage in self._validating)
            self._put(subject, judgement, observation, max(observed_at, last_seen_at), known)
        for finding in stored.open_findings:
            if finding.code == Code.VANTAGE_STRIPS_DNSSEC and finding.severity is Severity.CRITICAL:
                self._serving.update(finding.vantages)
        judgements = (judgement for *_, judgement in stored.judgements)
        self._views.load(stored.open_findings, judgements, self._estate.vantages)
        for subject in [subject for subject, current in self._current.items() if current.denies]:
            self._contradictions.look(subject, [subject[1]])

    def showing(self, key: CauseKey) -> Iterator[tuple[Subject, Condition, datetime]]:
        """Yield the subjects that hold an open finding, after a restart."""
        for subject, current in self._current.items():
            for condition in self._estate.zones.without_shown(current.conditions, current.chain, subject[2]):
                if condition.key == key:
                    yield subject, condition, current.applied_at

    def named(self, finding: Finding) -> Collection[tuple[Subject, Condition, datetime]]:
        """Return the subjects that an open finding named, for one that nothing shows by itself after a restart."""
        named, condition = set(finding.endpoints), condition_of(finding)
        subjects = [s for s in self._current if f"{s[0]} {s[1]}" in named and s[2] in finding.vantages]
        if not subjects and finding.code in REPORTED:
            subjects = [("", "", vantage) for vantage in finding.vantages]
        return [(subject, condition, finding.updated_at) for subject in subjects]

    # observations

    def take(self, message: Observation, knowledge: Knowledge, out: Batch) -> None:
        """Take in an observation: the subject's first sight, a change, or the periodic refresh."""
        subject, judgement, at = message.subject, message.judgement, message.observed_at
        earlier = self._current.get(subject)
        # What is late need not be a replay: two collectors may have had the subject for a moment, and clocks differ.
        # The order of arrival says which of them goes on.
        if message.id in knowledge.stored:
            out.replayed.append(message.id)
            return
        knowledge.stored.add(message.id)
        self._estate.vantages.add(judgement.vantage)
        out.store("observations", rows.observation_row(message))
        out.store("verdicts", rows.verdict_row(message))
        if message.evidence is not None:
            out.store_evidence(message.evidence)
        baseline = knowledge.baselines.get(subject)
        self._drift.take(message, baseline, knowledge)
        current = self._put(subject, judgement, message.id, at, self._known_of(message, baseline, knowledge))
        if message.signed is not None:
            ends = message.signed.inception_at, message.signed.expires_at
            current.window = int(ends[0].timestamp()), int(ends[1].timestamp())
        self._signatures.keep(subject, current, earlier, expiry_of(message.signed), at, out)
        knowledge.spoken_of[message.id], knowledge.polled_until[message.id] = judgement, at
        self._compare(subject)
        before = _describe(baseline) if baseline is not None else ""
        self._poll(subject, current, at, before=before, after=_describe(judgement))
        if current.validated:
            knowledge.baselines[subject] = judgement

    def _known_of(self, message: Observation, baseline: Judgement | None, knowledge: Knowledge) -> Known:
        judgement = message.judgement
        proven = frozenset(
            sighting.data
            for other in seen_as(message, self._estate.vantages)
            for sighting in knowledge.sightings.get(other, ())
            if sighting.type == judgement.type
        )
        return Known(
            proven=proven,
            serves_dnssec=judgement.vantage in self._serving,
            validates=judgement.vantage in self._validating,
            was_present=baseline is not None and bool(baseline.answers),
        )

    def _put(
        self, subject: Subject, judgement: Judgement, observation: str, at: datetime, known: Known = NOTHING_KNOWN
    ) -> Current:
        if judgement.verdict is Verdict.SECURE:
            self._serving.add(judgement.vantage)
        if is_validated_for_clients(judgement):
            self._validating.add(judgement.vantage)
        endpoints = self._estate.consumers.endpoints_at(judgement.name, judgement.type)
        earlier = self._current.get(subject)
        chain = tuple(self._zones.names.setdefault(link.zone, link.zone) for link in judgement.chain)
        current = Current(
            applied_at=at,
            newest_at=at if earlier is None else max(at, earlier.newest_at),
            observation=observation,
            verdict=judgement.verdict,
            cause_zone=judgement.cause_zone,
            conditions=(*conditions_of(judgement, endpoints, known), *self._environments.answered(judgement)),
            expiry=None,
            renewed=earlier.renewed if earlier is not None else None,
            signer=signer_of(judgement),
            evidence=judgement.evidence,
            zones=zones_behind(subject[0], chain, judgement.verdict, earlier),
            chain=chain,
            sound=chain if judgement.verdict in VALIDATED or earlier is None else earlier.sound,
            broken=tuple(link.zone for link in judgement.chain if link.verdict not in VALIDATED),
            claimed=judgement.resolver is not None,
            claimed_plain=judgement.plain is not None,
            absent=is_absent(judgement),
            owner=owner_of_data(judgement),
            denies=self._shared.setdefault(judgement.denies, judgement.denies),
            ttl_s=judgement.ttl_s,
        )
        self._current.put(subject, current)
        if earlier is None or earlier.zones != current.zones:
            self._move(subject, earlier.zones if earlier is not None else (), current.zones, at)
        return current

    def _move(self, subject: Subject, earlier: Sequence[str], zones: Sequence[str], at: datetime) -> None:
        """Note that a subject lies behind other zones than before."""
        for zone in zones:
            if zone not in earlier:
                self._book.grow((zone, "", subject[2]))
        for zone in earlier:
            self._zones.leave(zone, subject[2], at)

    def _compare(self, subject: Subject) -> None:
        """Hold what was observed of a subject against other vantages and other types of the name."""
        self._views.take_verdict(subject, self._estate.vantages)
        self._contradictions.look(subject, self._estate.types_of(subject[0]))

    # polls

    def take_polls(self, message: PollBatch, knowledge: Knowledge, out: Batch) -> None:
        """Take in polls that say that what was observed is still the case."""
        verdicts: dict[str, tuple[str, str]] = {}
        confirmed = 0
        for subject, observation, at, inception, expiration in polls_of(message):
            current = self._current.get(subject)
            is_last = current is not None and current.observation == observation
            judgement = knowledge.spoken_of.get(observation)
            if not is_last and judgement is None:
                self._note_unknown(subject, observation)
                continue
            until = current.applied_at if current is not None and is_last else knowledge.polled_until.get(observation)
            if until is not None and at <= until:
                self._counts.dropped += 1  # it came before
                continue
            if judgement is not None and (current is None or not is_last):
                current = self._put(subject, judgement, observation, at)
                self._compare(subject)
            assert current is not None
            window = (inception, expiration) if message.expirations else current.window
            if window != current.window or not current.live:
                current.window = window
                self._signatures.keep(subject, current, current, expiry_between(current.signer, *window), at, out)
            self._current.polled(current, at)
            knowledge.polled_until[observation] = at
            confirmed += 1
            verdicts[observation] = (str(current.verdict), current.cause_zone)
            self._poll(subject, current, at)
        self._counts.confirmed += confirmed
        out.store("verdicts", *rows.stretched_rows(message, verdicts))
        if not verdicts:
            out.replayed.append(message.id)

    def _poll(self, subject: Subject, current: Current, at: datetime, before: str = "", after: str = "") -> None:
        # Held against what the zones show now: what a zone shows no more, a name that still shows it holds by itself.
        zones = self._estate.zones
        conditions: Sequence[Condition] = current.conditions
        if conditions:  # most polls show none, and are spared the call
            conditions = zones.without_shown(conditions, current.chain, subject[2])
            if current.verdict is Verdict.BOGUS:
                conditions = [self._of_old_copy(condition, current, subject[2], at) for condition in conditions]
        if current.verdict is Verdict.INDETERMINATE and subject[2] in self._estate.lost:
            # The vantage is the cause, and has a finding of its own.
            conditions = [c for c in conditions if c.code != Code.VERDICT_INDETERMINATE]
        if current.absent and not self._is_absent_altogether(subject):
            conditions = [c for c in conditions if c.code != Code.ENDPOINT_ABSENT]
        if self._environments:
            conditions = [*conditions, *self._environments.shared(subject, current)]
        if self._contradictions:
            conditions = [*conditions, *self._contradictions.of(subject)]
        if self._views:
            conditions = [*conditions, *self._views.conditions(subject, self._estate.vantages)]
        if conditions or self._book.holds(subject):
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
        if zones.stale:
            self._zones.freshen(current.chain, subject[2])
        if self._zones.witnesses:
            self._zones.bear_witness(subject, current, at)

    def _of_old_copy(self, condition: Condition, current: Current, vantage: str, at: datetime) -> Condition:
        """Return a condition as it is to be told: where the anchored zone has ended at this vantage and is good at
        another one, neither the zone nor our clock is at fault, but the copy that the resolver keeps."""
        is_of_times = condition.code in (Code.RRSIG_EXPIRED, Code.SELF_CLOCK_SKEW)
        anchored = current.chain[0] if len(current.chain) == 1 else ""
        if not is_of_times or not anchored or condition.cause_zone not in ("", anchored):
            return condition
        others = sorted(self._estate.vantages - {vantage})
        good = next((o for o in others if self._estate.zones.good_at((anchored, "", o), at) is not None), "")
        if not good:
            return condition
        detail = (
            f"{vantage} serves an old copy of {anchored}: {condition.detail}; through {good} it is signed for longer"
        )
        return of_vantage(Code.RESOLVER_DISAGREES, vantage, detail)

    def _is_absent_altogether(self, subject: Subject) -> bool:
        """Return whether a host has none of the types that are asked for, as far as they are known by now."""
        name, _, vantage = subject
        others = (self._current.get((name, rdtype, vantage)) for rdtype in self._estate.types_of(name))
        return all(other is not None and other.absent for other in others)

    def _note_unknown(self, subject: Subject, observation: str) -> None:
        """Note that polls of a subject that somebody consumes speak of an observation that did not arrive."""
        if not self._estate.is_watched(subject):
            return
        self._counts.unmatched += 1
        if len(self._unknown) < MOST_UNKNOWN:
            self._unknown[subject] = observation

    def take_unknown(self) -> dict[Subject, str]:
        """Return whose polls spoke of an observation that had not arrived, and its id, since the last call."""
        unknown, self._unknown = self._unknown, {}
        return unknown

    # who is left

    def forget(self, subject: Subject, at: datetime, because: str) -> None:
        """Forget a subject that is watched no more."""
        self._current.drop(subject)
        self._signatures.drop(subject)
        self._book.forget(subject, at, because)
        if self._views:
            self._views.drop(subject, self._estate.vantages)
        self._contradictions.look(subject, {subject[1], *self._estate.types_of(subject[0])})


def _describe(judgement: Judgement) -> str:
    """Return verdict and answers for people."""
    answers = ", ".join(answer.split(" ", 2)[2] for answer in judgement.answers[:8])
    return f"{judgement.verdict}: {answers or judgement.rcode}"
