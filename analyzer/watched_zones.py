"""Zones as vantages see them: taken in when they change, and polled by the names that lie below.

Only a zone that shows something, or holds a finding open, is polled. It has a witness: the name whose polls count for
it, so that it is confirmed and found healed after as many looks as a name, however many names lie below it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from analyzer.batch import Batch, Knowledge
from analyzer.detected import Condition, Drift
from analyzer.endpoints.current import Current, ancestors_of
from analyzer.estate import FORGOTTEN_AFTER, Estate
from analyzer.findings.attribution import CauseKey
from analyzer.findings.book import FindingBook
from analyzer.history import rows
from analyzer.signatures import Signatures
from analyzer.zones.timeline import ZoneState
from analyzer.zones.unseen import as_unseen, with_earlier_sets
from schemas.catalogue import Change
from schemas.codes import Code
from schemas.judgement import VALIDATED
from schemas.messages import Subject, ZoneObservation

SOME_NAMES = 16
WITNESS_AWAY = timedelta(minutes=2)
"""A witness that was not polled for so long gives way to any other name."""


class WatchedZones:
    """State: the zones that show something, or hold a finding open, and those that no chain leads through at present.

    ``witnesses`` has of each of the former the subject whose polls count for it, and its last poll that did; None:
    no poll has counted since the zone changed. ``names`` has each zone's name once, for all chains to share.
    """

    def __init__(self, estate: Estate, book: FindingBook, signatures: Signatures) -> None:
        self._estate, self._book, self._signatures = estate, book, signatures
        self.witnesses: dict[Subject, tuple[Subject, datetime] | None] = {}
        self.names: dict[str, str] = {}
        self._unclaimed: dict[Subject, datetime] = {}

    # what was known before

    def restore(self, stored: Iterable[ZoneObservation]) -> None:
        """Take up the zones that an earlier process knew and that something watched lies behind."""
        above = {zone for name, _, _ in self._estate.current for zone in ancestors_of(name)}
        for message in stored:
            if message.zone in above or self._estate.current.is_through(message.zone, message.vantage):
                self._estate.zones.stale.add(message.subject)
                before = self._estate.zones.get(message.subject)
                state = self._put(message)
                for edge in state.drifts:
                    step = self._weighed(edge, state, before, message.observed_at)
                    self._book.restore_step(step, message.observed_at)
        shown = (subject for subject, state in self._estate.zones.items() if state.conditions)
        self.witnesses.update(dict.fromkeys(shown))

    def showing(self, key: CauseKey) -> Iterator[tuple[Subject, Condition, datetime]]:
        """Yield the zones that hold an open finding, after a restart; the next poll of any name counts for them."""
        for subject, state in self._estate.zones.items():
            for condition in state.conditions:
                if condition.key == key:
                    self.witnesses[subject] = None
                    yield subject, condition, state.observation.observed_at

    def recall(self, earlier: Iterable[ZoneObservation]) -> None:
        """Take in what the history knows of zones that no chain led through for a while."""
        zones = self._estate.zones
        for message in earlier:
            if message.subject not in zones.stale and message.subject in zones:
                continue
            zones.stale.add(message.subject)
            self._unclaimed[message.subject] = message.observed_at
            if self._put(message).conditions:
                self.witnesses[message.subject] = None

    def _put(self, message: ZoneObservation, seen_at: datetime | None = None) -> ZoneState:
        state = self._estate.zones.put(message, seen_at)
        if message.windows:
            self._signatures.look_soon(message.subject)
        return state

    # what comes in

    def take(self, message: ZoneObservation, knowledge: Knowledge, out: Batch) -> None:
        """Take in a zone as a vantage sees it."""
        if message.id in knowledge.stored:
            out.replayed.append(message.id)
            return
        knowledge.stored.add(message.id)
        out.store_evidence(message.evidence)
        # Stored even so: if it comes again after the zone changed, it must be known as what came before.
        repeats = self._estate.zones.adds_nothing(message)
        subject, at = message.subject, message.observed_at
        earlier = self._estate.zones.get(subject)
        seen_at = self._seen_at(earlier, at) if earlier is not None else None
        if earlier is not None and seen_at is not None:
            message = with_earlier_sets(message, earlier.observation, seen_at)
        out.store("zones", rows.zone_row(message, repeats=repeats))
        if repeats:
            self._estate.zones.repeat(message)
            return
        state = self._put(message, seen_at)
        for edge in state.drifts:
            self._book.drift(self._weighed(edge, state, earlier, seen_at), subject, at, message.evidence.digest)
        self._estate.zones.stale.discard(subject)
        if not self._estate.current.is_through(message.zone, message.vantage):
            self._unclaimed.setdefault(subject, at)
        self._signatures.keep_windows(message, earlier.observation if earlier is not None else None, out)
        if state.conditions or subject in self.witnesses:
            self.witnesses[subject] = None
            validated = earlier.validated if earlier is not None else None
            self._poll(subject, state, at, before=str(validated.link.verdict) if validated is not None else "")

    def _weighed(self, edge: Drift, state: ZoneState, earlier: ZoneState | None, seen_at: datetime | None) -> Drift:
        """Return a change as it is to be told, held against what was declared of its zone."""
        acts, message = self._estate.acts, state.observation
        validated = earlier.validated if earlier is not None else None
        lag_s = validated.link.ttl_s if validated is not None else 0
        if edge.of_entry and validated is not None:
            old, new = validated.link, message.link
            kinds = frozenset(
                kind
                for kind, differs in ((Change.KEYS, old.keys != new.keys), (Change.DS, old.ds != new.ds))
                if differs
            )
            edge = acts.weigh_step(edge, kinds, seen_at or message.observed_at, message.observed_at, lag_s)
            if seen_at is not None:
                edge = as_unseen(edge, validated, message, seen_at)
        return acts.lower(edge, message.observed_at, lag_s=lag_s)

    def _seen_at(self, state: ZoneState, at: datetime) -> datetime | None:
        """Return when what is known of a zone was last seen: told, or polled through a name that was validated."""
        zone, _, vantage = state.observation.subject
        current = self._estate.current
        behind = islice(next(current.chains_behind(zone, vantage), frozenset()), SOME_NAMES)
        polled = [current[one].applied_at for one in behind if current[one].validated and zone in current[one].chain]
        known = [one for one in (*polled, state.seen_at) if one is not None and one <= at]
        return max(known, default=None)

    def _poll(self, subject: Subject, state: ZoneState, at: datetime, before: str = "") -> None:
        """Count a poll of a zone; what it does not show any more and no finding holds open needs no witness.

        ``before`` is its last validated verdict where this poll brings something new, empty for a first sight.
        """
        conditions: Sequence[Condition] = state.conditions
        if subject[2] in self._estate.lost:
            conditions = [c for c in conditions if c.code != Code.VERDICT_INDETERMINATE]
        ends = [window.expires_at for window in state.observation.windows]
        self._book.poll(
            subject,
            conditions,
            at,
            evidence=state.observation.evidence.digest,
            before=before,
            after=str(state.observation.link.verdict),
            says_of=state.says_of,
            ends_at=min(ends, default=None),
        )
        if not state.conditions and not self._book.holds(subject):
            self.witnesses.pop(subject, None)

    def bear_witness(self, subject: Subject, current: Current, at: datetime) -> None:
        """Count a poll of a name for the zones of its chain: of each zone the polls of one name count."""
        for zone in current.chain:
            of_zone = (zone, "", subject[2])
            if of_zone not in self.witnesses:
                continue
            state = self._estate.zones.get(of_zone)
            if state is None or (zone in current.broken and state.observation.link.verdict in VALIDATED):
                continue  # a name that still sees the zone broken is no evidence that it is whole
            witness, counted_at = self.witnesses[of_zone] or (subject, at)
            seen = self._estate.current.get(witness)
            is_nearer = seen is not None and zone in current.broken and zone not in seen.broken
            if seen is None or zone not in seen.chain or is_nearer or at - counted_at >= WITNESS_AWAY:
                witness = subject
            if witness != subject:
                continue
            self.witnesses[of_zone] = (subject, at)
            if at != state.observation.observed_at:
                self._poll(of_zone, state, at)

    def freshen(self, zones: Iterable[str], vantage: str) -> None:
        """Note that what is stored of zones still holds: a name behind them was polled since this process started."""
        stale = self._estate.zones.stale
        for zone in zones:
            subject = (zone, "", vantage)
            if subject in stale:
                stale.discard(subject)
                self._signatures.look_soon(subject)

    # who is left

    def leave(self, zone: str, vantage: str, at: datetime) -> None:
        """Note that a chain leads through a zone no more; it may with the next poll: an alias leads here and there."""
        of_zone = (zone, "", vantage)
        if of_zone in self._estate.zones and not self._estate.current.is_through(zone, vantage):
            self._unclaimed[of_zone] = at
            self._estate.zones.stale.add(of_zone)

    def drop_unclaimed(self, at: datetime) -> None:
        """Forget the zones that no chain has led through for an hour."""
        for subject in [one for one, since in self._unclaimed.items() if abs(at - since) >= FORGOTTEN_AFTER]:
            del self._unclaimed[subject]
            self.drop((subject[0],), subject[2], at)

    def drop(self, zones: Iterable[str], vantage: str, at: datetime) -> None:
        """Forget zones that no chain leads through any more; what they held open is over, and is said to be."""
        for zone in zones:
            subject = (zone, "", vantage)
            if subject in self._estate.zones and not self._estate.current.is_through(zone, vantage):
                if self._book.holds(subject):
                    self._book.forget(subject, at, f"no longer watched: no name is seen in {zone} through {vantage}")
                self._estate.zones.drop(subject)
                self._signatures.drop(subject)
                self.witnesses.pop(subject, None)
                self._unclaimed.pop(subject, None)
            if not self._estate.is_needed(zone):
                self._signatures.forget_habit(zone)
                self.names.pop(zone, None)
