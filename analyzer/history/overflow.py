"""The history while its disk is full: rows wait in memory, and are read from there, until there is room again.

What must be told is so told in time: the analyzer goes on as if the rows were stored. They are lost only if the process
ends before there is room. Evidence is dropped first when memory runs short, and polls of one observation take one row
however many they are, so only new observations and findings cost more memory.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from analyzer.history import rows
from analyzer.history.clickhouse import TABLES, ClickHouseHistory, FindingPlace, Place, place_of, place_of_finding
from analyzer.history.rows import Row
from analyzer.sightings import Sighting, join_sightings
from schemas.faults import DiskFull, Rejected
from schemas.judgement import VALIDATED, Judgement
from schemas.messages import Act, Finding, FindingStatus, Identity, Subject, ZoneObservation, ZoneSweep

log = logging.getLogger(__name__)

TRY_EVERY_S = 2.0
MOST_WAITING_BYTES = 128 * 1024 * 1024
AT_ONCE = 5_000
FULL = "the disk of the history is full: what is found is told and kept in memory; make room before a restart"
KEYS: dict[str, Callable[[Row], Any]] = {
    "evidence_messages": lambda row: row[0],
    "evidence": lambda row: row[0],
    "zones": lambda row: row[0],
    "sweeps": lambda row: row[0],
    "acts": lambda row: row[0],
    "identities": lambda row: (row[0], row[1]),
    "renewals": lambda row: (row[0], row[1], row[3]),
    "findings": lambda row: (row[0], row[1]),
    "observations": lambda row: row[0],
    "verdicts": lambda row: tuple(row[:4]),
}


class Waiting:
    """Rows that wait for room, by table and key; ``size_bytes`` is about their size, ``dropped`` counts evidence."""

    def __init__(self, most_bytes: int = MOST_WAITING_BYTES) -> None:
        self._most_bytes = most_bytes
        self._rows: dict[str, dict[Any, Row]] = {table: {} for table in TABLES}
        self.size_bytes = self.dropped = 0

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def of(self, table: str) -> list[Row]:
        """Return the rows of a table, oldest first."""
        return list(self._rows[table].values())

    def put(self, tables: Mapping[str, Sequence[Row]]) -> bool:
        """Take rows in; return False, and take nothing, if there is no more memory for them."""
        coming = sum(map(size_of, (row for table in TABLES for row in tables.get(table, ()))))
        if self.size_bytes + coming > self._most_bytes:
            self._drop_evidence()
            if self.size_bytes + coming > self._most_bytes:
                return False
        for table in TABLES:
            for row in tables.get(table, ()):
                self._put(table, row)
        return True

    def _put(self, table: str, row: Row) -> None:
        key = KEYS[table](row)
        earlier = self._rows[table].get(key)
        if earlier is not None:
            self.size_bytes -= size_of(earlier)
            if table == "verdicts":
                row = (*row[:6], min(earlier[6], row[6]), max(earlier[7], row[7]), *row[8:])
        self._rows[table][key] = row
        self.size_bytes += size_of(row)

    def _drop_evidence(self) -> None:
        for table in ("evidence_messages", "evidence"):
            self.dropped += len(self._rows[table])
            self.size_bytes -= sum(map(size_of, self._rows[table].values()))
            self._rows[table].clear()

    def parts(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield what waits in the order of ``TABLES``; each part is forgotten once the next is taken."""
        for table in TABLES:
            while chosen := list(islice(self._rows[table].items(), AT_ONCE)):
                yield table, [row for _, row in chosen]
                for key, row in chosen:
                    del self._rows[table][key]
                    self.size_bytes -= size_of(row)


def size_of(row: Row) -> int:
    """Return about how many octets a row takes in memory."""
    return 200 + sum(len(value) for value in row if isinstance(value, str | bytes | list | tuple))


class OverflowHistory(ClickHouseHistory):
    """A history that goes on in memory while its disk is full, and calls ``on_full`` then; ``clock`` is monotonic."""

    def __init__(
        self,
        client: Any,
        lock_file: Any = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        most_bytes: int = MOST_WAITING_BYTES,
    ) -> None:
        super().__init__(client, lock_file)
        self._clock = clock
        self._waiting = Waiting(most_bytes)
        self._waiting_lock = threading.RLock()
        self._try_at = 0.0
        self._is_full = False
        self.on_full: Callable[[], None] = lambda: None

    def why_full(self) -> str:
        """Return that rows wait for room on the disk, empty while none do."""
        if not self._is_full:
            return ""
        return FULL + ("; evidence was dropped, since memory ran short" if self._waiting.dropped else "")

    @property
    def waiting(self) -> int:
        """Return how many rows wait for room."""
        return len(self._waiting)

    def row_counts(self) -> tuple[int, int]:
        """Return how many rows of findings and of observations there are, those that wait for room too."""
        findings, observations = super().row_counts()
        with self._waiting_lock:
            return findings + len(self._waiting.of("findings")), observations + len(self._waiting.of("observations"))

    def close(self) -> None:
        """Store what waits, if there is room now, and let go of the database."""
        with self._waiting_lock:
            self._try_at = 0.0
            if self._is_full and not self._make_up():
                log.error("the disk is full at the end: rows of the history are lost", extra={"rows": self.waiting})
        super().close()

    def append(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Store rows, or keep them until there is room.

        Raises:
            Transient: the database is away, or the disk is full and so is the memory for what waits.
            Rejected: a row that can never be stored.
        """
        with self._waiting_lock:
            if not self._is_full or self._make_up():
                try:
                    super().append(tables)
                    return
                except DiskFull as fault:
                    log.error("the history goes on in memory", extra={"detail": str(fault)})
                    self._is_full, self._try_at = True, self._clock() + TRY_EVERY_S
                    self.on_full()
            if not self._waiting.put(tables):
                raise DiskFull(f"{FULL}; {len(self._waiting)} rows wait, and there is no memory for more")

    def _make_up(self) -> bool:
        """Return whether all that waited is stored now."""
        if self._clock() < self._try_at:
            return False
        self._try_at = self._clock() + TRY_EVERY_S
        count = len(self._waiting)
        try:
            for table, data in self._waiting.parts():
                self._store(table, data)
        except DiskFull:
            return False
        log.warning("there is room again: the history has what waited", extra={"rows": count})
        self._is_full, self._waiting.dropped = False, 0
        return True

    def _store(self, table: str, data: Sequence[Row]) -> None:
        try:
            self._insert(table, data, rows.COLUMNS[table])
        except Rejected as fault:
            if len(data) == 1:
                log.error("a row that waited can't be stored", extra={"table": table, "detail": str(fault)})
                return
            middle = len(data) // 2
            self._store(table, data[:middle])
            self._store(table, data[middle:])

    def _kept(self, table: str) -> list[Row]:
        with self._waiting_lock:
            return self._waiting.of(table) if self._is_full else []

    def _validated(self, until: Mapping[Subject, datetime]) -> Iterator[tuple[Subject, Row]]:
        """Yield what waits of the validated observations before each subject's instant, oldest first."""
        for row in sorted(self._kept("observations"), key=lambda row: row[4]):
            subject = (row[1], row[2], row[3])
            if row[6] in VALIDATED and subject in until and row[4] < until[subject]:
                yield subject, row

    def validated_before(self, until: dict[Subject, datetime]) -> dict[Subject, Judgement]:
        """Return for each subject its last secure or insecure judgement strictly before its instant."""
        newest = {subject: row[13] for subject, row in self._validated(until)}
        kept = {subject: rows.read_judgement(content) for subject, content in newest.items()}
        return {**super().validated_before(until), **kept}

    def sightings_before(self, until: dict[Subject, datetime]) -> dict[Subject, list[Sighting]]:
        """Return each record in a subject's validated answers of the 30 days strictly before its instant."""
        found = super().sightings_before(until)
        waiting = {row[0]: row for _, row in self._validated(until)}
        polls = {row[3]: row for row in self._kept("verdicts") if (row[0], row[1], row[2]) in until}
        for row in waiting.values():
            at = until[row[1], row[2], row[3]]
            last_at = min(polls[row[0]][7], at) if row[0] in polls else row[4]
            ttl_s = rows.read_judgement(row[13]).ttl_s
            seen = [Sighting(record, row[4], last_at, last_at - row[4], 1, ttl_s) for record in row[10]]
            found.setdefault((row[1], row[2], row[3]), []).extend(seen)
        stretched = {key: row for key, row in polls.items() if key not in waiting}
        for subject, sighting in self._stretched(stretched, until):
            found.setdefault(subject, []).append(sighting)
        return {subject: join_sightings(sightings) for subject, sightings in found.items()}

    def _stretched(
        self, polls: Mapping[str, Row], until: Mapping[Subject, datetime]
    ) -> Iterator[tuple[Subject, Sighting]]:
        """Yield for how much longer the records of stored observations were seen, by the polls that wait."""
        judgements = self.judgements_of(sorted(polls))
        polled_until = super().polled_until({key: row[0] for key, row in polls.items()})
        for key, judgement in judgements.items():
            subject = (judgement.name, judgement.type, judgement.vantage)
            first_at = polled_until[key] if key in polled_until else polls[key][6]
            last_at = min(polls[key][7], until[subject])
            if judgement.verdict in VALIDATED and last_at > first_at:
                for record in judgement.answers:
                    yield subject, Sighting(record, first_at, last_at, last_at - first_at, times=0)

    def latest_judgements(self) -> list[tuple[str, datetime, datetime, Judgement]]:
        """Return of every subject the observation that was polled last: id, when, when polled, and its judgement."""
        stored = super().latest_judgements()
        kept = {row[0]: row for row in self._kept("observations")}
        newest = {(j.name, j.type, j.vantage): (seen, key, at, j) for key, at, seen, j in stored}
        for row in self._kept("verdicts"):
            subject, observation, seen_at = (row[0], row[1], row[2]), row[3], row[7]
            now = newest.get(subject)
            if now is not None and now[0] > seen_at:
                continue
            if observation in kept:
                of = kept[observation]
                newest[subject] = (seen_at, observation, of[4], rows.read_judgement(of[13]))
            elif now is not None and now[1] == observation:
                newest[subject] = (seen_at, *now[1:])
        return [(key, at, seen, judgement) for seen, key, at, judgement in newest.values()]

    def _zones_kept(self) -> list[ZoneObservation]:
        return [rows.read_zone(row[14]) for row in sorted(self._kept("zones"), key=lambda row: row[3])]

    def zones_lately(self, since: datetime, of: Sequence[tuple[str, str]] = ()) -> list[ZoneObservation]:
        """Return what is known of every zone and vantage, oldest first, what waits after what is stored."""
        kept = [one for one in self._zones_kept() if not of or (one.zone, one.vantage) in of]
        return [*super().zones_lately(since, of), *kept]

    def zones_at(self, zones: Sequence[str], vantage: str, at: datetime) -> dict[str, ZoneObservation]:
        """Return how each of these zones was seen through a vantage at an instant."""
        found = super().zones_at(zones, vantage, at)
        for message in self._zones_kept():
            if message.zone in zones and message.vantage == vantage and message.observed_at <= at:
                found[message.zone] = message
        return found

    def zones_stored_of(self, ids: Sequence[str]) -> set[str]:
        """Return which of these observations of zones are stored or wait, by id."""
        return super().zones_stored_of(ids) | ({row[0] for row in self._kept("zones")} & set(ids))

    def sweep_memories(self, of: Sequence[tuple[str, str]] = ()) -> list[tuple[str, str, str]]:
        """Return of every swept zone and vantage what was remembered after the newest sweep, what waits included."""
        newest = {(zone, vantage): memory for zone, vantage, memory in super().sweep_memories(of)}
        for row in sorted(self._kept("sweeps"), key=lambda row: row[4]):
            if row[10] and (not of or (row[1], row[3]) in of):
                newest[row[1], row[3]] = row[10]
        return [(*key, memory) for key, memory in sorted(newest.items())]

    def sweeps_stored_of(self, zones_by_id: Mapping[str, str]) -> set[str]:
        """Return which of these sweeps are stored or wait, by id."""
        return super().sweeps_stored_of(zones_by_id) | ({row[0] for row in self._kept("sweeps")} & zones_by_id.keys())

    def sweeps(
        self, zone: str = "", limit: int = 1000, *, vantage: str = "", after: Place | None = None
    ) -> list[ZoneSweep]:
        """Return sweeps, newest first: of one zone all that are kept, without one the newest of each zone."""
        kept = {
            row[0]: rows.read_sweep(row[9])
            for row in self._kept("sweeps")
            if zone in ("", row[1]) and vantage in ("", row[3])
        }
        found = {one.id: one for one in super().sweeps(zone, limit, vantage=vantage, after=after)} | kept
        ordered = sorted(found.values(), key=lambda one: place_of(one.swept_at, one.id))
        if not zone:
            ordered = list({one.subject: one for one in reversed(ordered)}.values())[::-1]
        return [one for one in ordered if after is None or place_of(one.swept_at, one.id) > after][:limit]

    def acts(
        self, limit: int = 1000, *, kind: str = "", by: str = "", subject: str = "", after: Place | None = None
    ) -> list[Act]:
        """Return what people did, newest first."""
        waiting = [rows.read_act(row[5]) for row in self._kept("acts")]
        kept = {
            act.id: act
            for act in waiting
            if kind in ("", act.kind)
            and by in ("", act.by)
            and subject in ("", act.subject)
            and (after is None or place_of(act.at, act.id) > after)
        }
        stored = super().acts(limit, kind=kind, by=by, subject=subject, after=after)
        found = {act.id: act for act in stored} | kept
        return sorted(found.values(), key=lambda act: place_of(act.at, act.id))[:limit]

    def standing_acts(self, kinds: Sequence[str]) -> list[Act]:
        """Return all that people did of these kinds, oldest first."""
        kept = [rows.read_act(row[5]) for row in self._kept("acts") if row[2] in kinds]
        found = {act.id: act for act in [*super().standing_acts(kinds), *kept]}
        return sorted(found.values(), key=lambda act: (act.at, act.id))

    def _findings_kept(self) -> list[Finding]:
        return rows.read_findings(row[12] for row in self._kept("findings"))

    def open_findings(self) -> list[Finding]:
        """Return the newest version of every state that is not closed, and of the drifts of the last day."""
        newest = _newest([*super().open_findings(), *self._findings_kept()])
        return [finding for finding in newest if finding.status is not FindingStatus.CLOSED]

    def findings(
        self,
        *,
        status: str = "",
        code: str = "",
        zone: str = "",
        name: str = "",
        since: datetime | None = None,
        limit: int = 1000,
        severity: str = "",
        after: FindingPlace | None = None,
    ) -> list[Finding]:
        """Return the newest version of findings, newest first; of open ones the states come first."""
        chosen: dict[str, Any] = {"status": status, "code": code, "zone": zone, "name": name, "since": since}
        stored = super().findings(**chosen, limit=limit, severity=severity, after=after)
        kept = _newest(self._findings_kept())
        if not kept:
            return stored
        fitting = [
            finding
            for finding in kept
            if (not status or (finding.status is FindingStatus.CLOSED) == (status == "closed"))
            and code in ("", finding.code)
            and zone in ("", finding.cause_zone)
            and (not name or finding.is_about(name))
            and (since is None or finding.updated_at >= since)
            and severity in ("", finding.severity)
            and (after is None or place_of_finding(finding, status) > after)
        ]
        superseded = {finding.id for finding in kept}
        found = [*fitting, *(finding for finding in stored if finding.id not in superseded)]
        return sorted(found, key=lambda finding: place_of_finding(finding, status))[:limit]

    def findings_of(self, ids: Sequence[str]) -> list[Finding]:
        """Return the newest version of each of these findings."""
        kept = [finding for finding in self._findings_kept() if finding.id in ids]
        return _newest([*super().findings_of(ids), *kept])

    def ids_of_findings(self, prefix: str, limit: int) -> list[str]:
        """Return the ids of findings that begin so, what waits before what is stored."""
        kept = [finding.id for finding in self._findings_kept() if finding.id.startswith(prefix)]
        return list(dict.fromkeys([*kept, *super().ids_of_findings(prefix, limit)]))[:limit]

    def versions(self, since: datetime, after: tuple[datetime, str, int] | None, limit: int) -> list[Finding]:
        """Return what was reported of findings since an instant, oldest first: every version."""
        kept = [
            one
            for one in self._findings_kept()
            if one.updated_at >= since and (after is None or (one.updated_at, one.id, one.version) > after)
        ]
        found = [*super().versions(since, after, limit), *kept]
        return sorted(found, key=lambda one: (one.updated_at, one.id, one.version))[:limit]

    def first_triggers(self, ids: Sequence[str]) -> dict[str, str]:
        """Return which message opened each of these findings, by the finding's id."""
        kept = {row[0]: row[11] for row in reversed(self._kept("findings")) if row[0] in ids}
        return kept | super().first_triggers(ids)

    def finding_versions(self, finding_id: str) -> list[Finding]:
        """Return every version of one finding, oldest first."""
        kept = [finding for finding in self._findings_kept() if finding.id == finding_id]
        versions = {finding.version: finding for finding in [*super().finding_versions(finding_id), *kept]}
        return [versions[number] for number in sorted(versions)]

    def findings_triggered_by(self, triggers: Sequence[str]) -> list[Finding]:
        """Return what these messages caused when they were handled before."""
        wanted = set(triggers)
        kept = rows.read_findings(row[12] for row in self._kept("findings") if row[11] in wanted)
        return [*super().findings_triggered_by(triggers), *kept]

    def _observations(self, ids: Sequence[str], column: str) -> Iterator[tuple[str, str]]:
        yield from super()._observations(ids, column)
        wanted = set(ids)
        for row in self._kept("observations"):
            if row[0] in wanted:
                yield row[0], row[13]

    def identities(self) -> list[tuple[str, Identity]]:
        """Return every identity that is in the inventory, by id."""
        found = dict(super().identities())
        for row in sorted(self._kept("identities"), key=lambda row: row[1]):
            identity = rows.read_identity(row[2])
            found.pop(row[0], None)
            if identity is not None:
                found[row[0]] = identity
        return sorted(found.items())

    def renewals(self) -> dict[tuple[str, bool], list[tuple[float, float]]]:
        """Return for each zone, its key set (True) apart from its data, the last renewals of its signatures."""
        found = super().renewals()
        for zone, _, left, of_keys, interval_s in sorted(self._kept("renewals"), key=lambda row: row[1]):
            found.setdefault((zone, of_keys), []).append((left, interval_s))
        return found


def _newest(findings: Sequence[Finding]) -> list[Finding]:
    newest: dict[str, Finding] = {}
    for finding in findings:
        if finding.id not in newest or newest[finding.id].version <= finding.version:
            newest[finding.id] = finding
    return list(newest.values())
