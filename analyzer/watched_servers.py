"""The servers of zones: sweeps taken in, and forgotten once nothing watched lies behind the zone."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from analyzer.batch import Batch, Counts, Knowledge
from analyzer.detected import SERVERS, Condition
from analyzer.estate import FORGOTTEN_AFTER, Estate
from analyzer.findings.attribution import CauseKey, whole_of
from analyzer.findings.book import FindingBook
from analyzer.history import rows
from analyzer.zones.faults import SWEPT
from analyzer.zones.sweeps import read_memory, swept_subject, write_memory
from schemas.messages import Subject, ZoneSweep

UNNEEDED_EVERY = FORGOTTEN_AFTER / 6


class WatchedServers:
    """State: the swept zones that nothing is watched behind, and since when; when all were looked at."""

    def __init__(self, estate: Estate, book: FindingBook, counts: Counts) -> None:
        self._estate, self._book, self._counts = estate, book, counts
        self._unneeded: dict[str, datetime] = {}
        self._looked_at: datetime | None = None

    def restore(self, stored: Iterable[tuple[str, str, str]]) -> None:
        """Take up what an earlier process remembered of the servers of zones that something watched lies behind."""
        for zone, vantage, memory in stored:
            if self._estate.is_needed(zone):
                self._estate.swept.restore(zone, vantage, read_memory(memory))

    def showing(self, key: CauseKey, open_keys: Collection[CauseKey]) -> Iterable[tuple[Subject, Condition, datetime]]:
        """Return the zones whose servers show a finding, be it at a name that has none of its own (``open_keys``)."""
        found: dict[Subject, tuple[Subject, Condition, datetime]] = {}
        for subject, shown, at in self._estate.swept.conditions():
            if key == (shown.key if shown.key in open_keys else whole_of(shown.key)):
                before = found[subject][1].servers if subject in found else ()
                servers = tuple(sorted({*before, *shown.servers}))
                found[subject] = (subject, replace(shown, cause_rrset=key[2], servers=servers), at)
        return found.values()

    def recall(self, earlier: Iterable[tuple[str, str, str]]) -> None:
        """Take in what the history remembers of zones that are swept again after a while."""
        for zone, vantage, memory in earlier:
            if (zone, SERVERS, vantage) not in self._estate.swept:
                self._estate.swept.restore(zone, vantage, read_memory(memory))

    def take(self, message: ZoneSweep, knowledge: Knowledge, out: Batch, now: datetime) -> None:
        """Take in what the servers of a zone, and of its parent, said."""
        if message.id in knowledge.stored:
            out.replayed.append(message.id)
            return
        knowledge.stored.add(message.id)
        if message.evidence is not None:
            out.store_evidence(message.evidence)
        earlier = self._estate.swept.get(swept_subject(message))
        review = self._estate.swept.take(message, now, self._is_consumed)
        if review is None:
            self._counts.dropped += 1
            out.store("sweeps", rows.sweep_row(message, min(message.swept_at, now), ""))
            return
        out.store("sweeps", rows.sweep_row(message, review.at, write_memory(review.memory)))
        if not self._estate.is_needed(message.zone):
            return
        subject, evidence = swept_subject(message), message.evidence.digest if message.evidence is not None else ""
        lag_s = max((review.at - earlier.swept_at).total_seconds(), 0.0) if earlier is not None else 0.0
        for edge in review.drifts:
            self._book.drift(self._estate.acts.lower(edge, review.at, lag_s=lag_s), subject, review.at, evidence)
        self._book.poll(subject, review.conditions, review.at, evidence=evidence, only=SWEPT)

    def _is_consumed(self, rrset: str) -> bool:
        name, _, rdtype = rrset.partition(" ")
        return bool(self._estate.consumers.endpoints_at(name, rdtype))

    def drop_unneeded(self, at: datetime) -> None:
        """Forget the servers of zones that nothing watched has lain behind for an hour; look at all now and then."""
        if self._looked_at is not None and abs(at - self._looked_at) < UNNEEDED_EVERY:
            return
        self._looked_at = at
        unneeded = {subject[0] for subject in self._estate.swept if not self._estate.is_needed(subject[0])}
        self._unneeded = {zone: self._unneeded.get(zone, at) for zone in unneeded}
        for zone, since in self._unneeded.items():
            if at - since >= FORGOTTEN_AFTER:
                self._drop(zone, at, f"no longer watched: no name is seen in {zone}")

    def forget(self, name: str, rdtype: str, zone: str, at: datetime, because: str) -> None:
        """Forget what servers of a zone say of a name that nobody consumes any more; and all, if it was the last."""
        for subject in self._estate.swept.of_zone(zone):
            self._book.forget(subject, at, because, rrset=f"{name} {rdtype}")
        if not self._estate.is_needed(zone):
            self._drop(zone, at, because)

    def _drop(self, zone: str, at: datetime, because: str) -> None:
        for subject in self._estate.swept.of_zone(zone):
            self._book.forget(subject, at, because)
            self._estate.swept.drop(subject)
