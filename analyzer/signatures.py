"""Signatures that run out: which subjects to look at when, and what their zones' habits say of what is left.

Source: RFC 6781 §4.4.2 (refresh before the validity period ends).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import islice

from analyzer.batch import Batch
from analyzer.detected import Condition, condition_of
from analyzer.endpoints.current import Current
from analyzer.estate import Estate
from analyzer.findings.book import FindingBook
from analyzer.wording import in_days, to_minute
from analyzer.zones.cadence import Cadence, CadenceKey, Renewal
from analyzer.zones.expiry import Agenda, Expiry, decide_tier, expiries_of, expiry_of, is_renewed, next_look_at
from analyzer.zones.timeline import ZoneState
from schemas.catalogue import CATALOGUE, Severity
from schemas.cause import VANTAGE
from schemas.codes import Code
from schemas.judgement import VALIDATED, Verdict
from schemas.messages import Finding, Subject, ZoneObservation, utc

EXPIRING = frozenset({Code.RRSIG_EXPIRING, Code.RRSIG_REFRESH_OVERDUE})
GOOD_POLLS = 3
SEEN_LATELY = timedelta(hours=1)
"""Beyond such a gap between two polls it is not known when a signature was renewed, nor that it was not."""
MOST_ENDS_KNOWN = 1_000
SOME_NAMES = 16


class Signatures:
    """State: when to look at which subject, those that show something, and how each zone renews.

    ``well`` has of those that showed something, and now do not, the instants of the polls since.
    """

    def __init__(self, estate: Estate, book: FindingBook) -> None:
        self._estate, self._book = estate, book
        self._agenda = Agenda()
        self._expiring: set[Subject] = set()
        self._cadence = Cadence()
        self._zone_renewed: dict[Subject, dict[str, Expiry]] = {}
        self._well: dict[Subject, set[datetime]] = {}

    def restore(self, renewals: Mapping[CadenceKey, Sequence[Renewal]]) -> None:
        """Begin with the renewals that were learnt before."""
        self._cadence = Cadence(renewals)

    def showing(self, finding: Finding, now: datetime) -> Iterator[tuple[Subject, Condition, datetime]]:
        """Yield the zones that hold an open finding of ours, after a restart; they are looked at from now on."""
        if finding.code not in EXPIRING:
            return
        condition = condition_of(finding)
        for subject, state in self._estate.zones.items():
            if subject[2] in finding.vantages and self._is_ending(state, finding, now):
                self._expiring.add(subject)
                yield subject, condition, finding.updated_at

    def _is_ending(self, state: ZoneState, finding: Finding, now: datetime) -> bool:
        ends = [one for one in expiries_of(state.observation) if one.zone == finding.cause_zone]
        if finding.code == Code.RRSIG_REFRESH_OVERDUE:
            return any(self._cadence.is_overdue(one, now) for one in ends)
        return any(decide_tier(one, now, self._cadence.usual_share(one)) is not None for one in ends)

    # what comes in

    def keep(
        self,
        subject: Subject,
        current: Current,
        earlier: Current | None,
        expiry: Expiry | None,
        at: datetime,
        out: Batch,
    ) -> None:
        """Note how the signature over an answer ends now, and what its renewal says of the zone's habit."""
        known, current.expiry, current.live = current.expiry, expiry, True
        if expiry is None:
            return
        if is_renewed(current.renewed, expiry):
            seen_lately = earlier is not None and at - earlier.applied_at <= SEEN_LATELY
            self._learn_habit(current.renewed, expiry, at, seen_lately, out)
            current.renewed = expiry
        if subject in self._expiring or known is None or expiry.expires_at < known.expires_at:
            self._agenda.put(subject, 0.0)

    def keep_windows(self, message: ZoneObservation, before: ZoneObservation | None, out: Batch) -> None:
        """Note how a zone's signatures end now; ``before`` is how it was seen last, None if it was not known.

        A key set that changed had to be signed anew, whatever the rhythm: nothing is learnt of that.
        """
        same_keys = before is not None and before.link.keys == message.link.keys
        for window in message.windows:
            if (expiry := expiry_of(window)) is not None:
                renewed = self._zone_renewed.setdefault(message.subject, {})
                is_in_rhythm = before is not None and (same_keys or not expiry.of_keys)
                self._learn_habit(renewed.get(window.rrset), expiry, message.observed_at, is_in_rhythm, out)
                renewed[window.rrset] = expiry

    def _learn_habit(self, earlier: Expiry | None, expiry: Expiry, at: datetime, lately: bool, out: Batch) -> None:
        if earlier is None or not lately:
            return  # when it was renewed is not known
        renewal = self._cadence.learn(earlier, expiry, at)
        if renewal is not None:
            left, interval_s = renewal
            out.store("renewals", (expiry.zone, at, left, expiry.of_keys, interval_s))

    def look_soon(self, subject: Subject) -> None:
        """Have a subject looked at with the next look."""
        self._agenda.put(subject, 0.0)

    def drop(self, subject: Subject) -> None:
        """Forget a subject."""
        self._agenda.drop(subject)
        self._expiring.discard(subject)
        self._zone_renewed.pop(subject, None)
        self._well.pop(subject, None)

    def forget_habit(self, zone: str) -> None:
        """Forget how a zone renews that nothing is watched in."""
        self._cadence.forget(zone)

    # as time passes

    def next_at(self) -> float | None:
        """Return when the next subject must be looked at, in POSIX seconds."""
        return self._agenda.next_at()

    def look(self, now: float) -> None:
        """Look at those whose signatures may have come closer to their end."""
        at = utc(now)
        for subject in sorted({*self._agenda.take(now), *self._expiring}):
            if subject[1]:
                self._look_at_endpoint(subject, at)
            else:
                self._look_at_zone(subject, at)

    def _look_at_endpoint(self, subject: Subject, at: datetime) -> None:
        current = self._estate.current.get(subject)
        if current is None or not current.live or current.verdict is Verdict.INDETERMINATE:
            return  # silence renews nothing, and what is stored may be days old; the first poll puts it on the agenda
        # What is bogus has worse to tell.
        expiries = [current.expiry] if current.expiry is not None and current.validated else []
        self._look_at(subject, expiries, at, current.evidence)

    def _look_at_zone(self, subject: Subject, at: datetime) -> None:
        state = self._estate.zones.get(subject)
        if state is None or subject in self._estate.zones.stale:
            return
        message = state.observation
        if message.link.verdict is Verdict.INDETERMINATE and state.validated is not None:
            message = state.validated  # silence renews nothing
        validated = message.link.verdict in VALIDATED
        expiries = expiries_of(message) if validated else []
        self._look_at(subject, expiries, at, message.evidence.digest)

    def _look_at(self, subject: Subject, expiries: Collection[Expiry], at: datetime, evidence: str) -> None:
        conditions: dict[tuple[str, str], Condition] = {}
        for expiry in sorted(expiries, key=lambda one: one.expires_at):
            habit, overdue_at = self._cadence.usual_share(expiry), self._cadence.overdue_at(expiry)
            tier = decide_tier(expiry, at, habit)
            found = [_expiring(expiry, tier, at)] if tier is not None else []
            if overdue_at is not None and at > overdue_at and self._is_seen(subject, at):
                found.append(_overdue(expiry, at, self._cadence.usual_interval(expiry)))
            other = self._renewed_at(subject, expiry, at) if found else ""
            for condition in found:
                placed = _of_old_copy(condition, subject[2], other) if other else condition
                conditions.setdefault((condition.code, expiry.zone), placed)
            if (look_at := next_look_at(expiry, at, habit, overdue_at)) is not None:
                self._agenda.put(subject, look_at.timestamp())
        if conditions or not expiries or self._is_well(subject):
            self._well.pop(subject, None)
            self._book.poll(subject, list(conditions.values()), at, evidence=evidence, only=EXPIRING)
        if conditions or self._book.holds(subject, EXPIRING):
            self._expiring.add(subject)
        else:
            self._expiring.discard(subject)

    def _is_well(self, subject: Subject) -> bool:
        """Return whether a subject that showed something has been well for as many polls as end any finding.

        Where secondaries differ, a resolver gives old signatures and new ones in turn.
        """
        if not self._book.holds(subject, EXPIRING):
            return True
        polls = self._well.setdefault(subject, set())
        if (seen_at := self._seen_at(subject)) is not None:
            polls.add(seen_at)
        return len(polls) >= GOOD_POLLS

    def _seen_at(self, subject: Subject) -> datetime | None:
        """Return when a subject was polled last: a zone by some of the names behind it."""
        current = self._estate.current
        if subject[1]:
            return current[subject].applied_at
        behind = next(current.chains_behind(subject[0], subject[2]), frozenset())
        return max((current[one].applied_at for one in islice(behind, SOME_NAMES)), default=None)

    def _renewed_at(self, subject: Subject, expiry: Expiry, at: datetime) -> str:
        """Return a vantage that sees a later signature over the same, good now: then this one is of an old copy."""
        name, rdtype, vantage = subject
        for other in sorted(self._estate.vantages - {vantage}):
            seen: list[Expiry] = []
            if rdtype:
                current = self._estate.current.get((name, rdtype, other))
                if current is not None and current.live and current.validated and current.expiry is not None:
                    seen = [current.expiry]
            elif (message := self._estate.zones.good_at((name, "", other), at)) is not None:
                seen = expiries_of(message)
            if any(_is_renewal(expiry, one, at) for one in seen):
                return other
        return ""

    def _is_seen(self, subject: Subject, at: datetime) -> bool:
        """Return whether what is known of a subject is known from lately: a renewal that nobody saw is none missed."""
        if subject[2] in self._estate.lost:
            return False
        seen_at = self._seen_at(subject)
        return seen_at is not None and at - seen_at <= SEEN_LATELY

    def next_ends(self) -> dict[str, datetime]:
        """Return of the zones whose signatures end next, when they do: the soonest thousand."""
        ends: dict[str, datetime] = {}
        zones = self._estate.zones
        for current in list(self._estate.current.values()):
            if current.live and current.validated and current.expiry is not None:
                zone, ends_at = current.expiry.zone, current.expiry.expires_at
                ends[zone] = min(ends_at, ends.get(zone, ends_at))
        for state in list(zones.values()):
            for window in state.observation.windows if state.observation.subject not in zones.stale else ():
                ends[window.zone] = min(window.expires_at, ends.get(window.zone, window.expires_at))
        return dict(nsmallest(MOST_ENDS_KNOWN, ends.items(), key=lambda end: end[1]))


def _is_renewal(expiry: Expiry, other: Expiry, at: datetime) -> bool:
    same = (other.zone, other.of_keys) == (expiry.zone, expiry.of_keys)
    return same and other.inception_at > expiry.inception_at and other.expires_at > at


def _of_old_copy(condition: Condition, vantage: str, other: str) -> Condition:
    """Return a condition that hangs on a vantage, since the zone has signed anew."""
    detail = f"{vantage} serves an old copy: {condition.detail}; through {other} newer ones are seen"
    where = f"{VANTAGE}{vantage} {condition.cause_zone}"
    return replace(condition, cause_zone="", cause_rrset=where, detail=detail, vantage=vantage)


def _expiring(expiry: Expiry, severity: Severity, at: datetime) -> Condition:
    left = expiry.expires_at - at
    ends = f"{to_minute(expiry.expires_at)}"
    detail = f"the signatures of {expiry.zone} end at {ends}, {expiry.left_ratio(at):.0%} of their lifetime is left"
    if left < timedelta():
        detail = f"the signatures of {expiry.zone} ended at {ends} and were not renewed"
    return Condition(Code.RRSIG_EXPIRING, expiry.zone, "", severity, detail)


def _overdue(expiry: Expiry, at: datetime, usual: timedelta | None) -> Condition:
    row, what = CATALOGUE[Code.RRSIG_REFRESH_OVERDUE], "key set" if expiry.of_keys else "data"
    detail = (
        f"{expiry.zone} renews the signatures over its {what} every {in_days(usual or timedelta())}, and those that are"
        f" served now begin {in_days(at - expiry.inception_at)} ago; they end {to_minute(expiry.expires_at)}"
    )
    return Condition(row.code, expiry.zone, "", row.severity, detail)
