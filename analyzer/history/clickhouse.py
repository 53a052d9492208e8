"""The verdict history in ClickHouse, embedded (chDB) or on a server: the same SQL, the same client.

All calls block; the stage runs them in a thread. Inserts are idempotent twice over: by the keys of their tables, and
by a token that tells the server a batch it has already.
"""

import hashlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from analyzer.config import HistoryConfig, server_of
from analyzer.history import rows
from analyzer.history.connection import connect_again, connect_embedded, connect_server
from analyzer.history.migrations import migrate
from analyzer.history.rows import Row
from analyzer.history.server_faults import DATABASE_ERRORS, UNFIT_VALUES, classify_fault, explain_refusal, sentence_of
from analyzer.sightings import LEARNT_FOR, Sighting
from schemas.faults import ConfigError, Transient
from schemas.judgement import Judgement
from schemas.messages import Act, Evidence, Finding, Identity, Subject, ZoneObservation, ZoneSweep

log = logging.getLogger(__name__)

CHUNK = 500
# A table of subjects and the instants before which they are asked about, in microseconds.
WANTED = """
    SELECT tupleElement(w, 1) AS name, tupleElement(w, 2) AS type, tupleElement(w, 3) AS vantage,
           tupleElement(w, 4) AS until
    FROM (SELECT arrayJoin(%(rows)s) AS w)
"""
DRIFTS_KEPT = "INTERVAL 24 HOUR"
# What a page would show must never keep a row from being stored.
WATCH_FIRST = {"materialized_views_ignore_errors": 1}
Place = tuple[int, str]
"""Where a row stands in a list, newest first: the negative instant in microseconds, and its id."""
FindingPlace = tuple[int, int, str]
"""The same of a finding, behind 0 for what comes first and 1 for the others."""
FIRST: Place = (-(2**62), "")
# An observation or act that is stored was handled: after a crash its message, come again, is not handled another time.
# So what follows from it is stored before it, and what it rests on before that.
TABLES = (
    "evidence_messages", "evidence", "identities", "renewals", "findings", "acts", "zones",
    "sweeps", "observations", "verdicts",
)  # fmt: skip


class ClickHouseHistory:
    """What was observed and found, and what was known strictly before an instant."""

    def __init__(self, client: Any, lock_file: Any = None) -> None:
        self._client, self._lock_file = client, lock_file
        self._lock = threading.Lock()
        self._column_types: dict[str, Sequence[Any]] = {}
        self._reader, self._reading = client, self._lock

    def read_apart(self, client: Any) -> None:
        """Have what people ask read through a client of its own: it holds up none of the analyzer's questions."""
        self._reader, self._reading = client, threading.Lock()

    def close(self) -> None:
        """Let go of the database."""
        if self._reader is not self._client:
            self._reader.close()
        self._client.close()
        if self._lock_file is not None:
            self._lock_file.close()

    def row_counts(self) -> tuple[int, int]:
        """Return how many rows of findings and of observations there are: merges apart, less only where rows ended.

        It costs next to nothing: the engine knows the number of rows of each part.
        """
        ((findings, observations),) = self._query(
            "SELECT (SELECT count() FROM findings), (SELECT count() FROM observations)"
        )
        return int(findings), int(observations)

    def damaged_parts(self) -> list[tuple[str, str, str, int]]:
        """Return what the engine put aside since it could not read it: table, part, why, octets."""
        sql = """
            SELECT table, name, reason, bytes_on_disk FROM system.detached_parts
            WHERE database = currentDatabase() AND (startsWith(reason, 'broken') OR reason = 'unexpected')
            ORDER BY table, name
        """
        return [(str(table), str(name), str(why), int(size)) for table, name, why, size in self._query(sql)]

    def why_full(self) -> str:
        """Return that rows wait for room on the disk, empty while none do."""
        return ""

    def is_ready(self) -> bool:
        """Return whether the database answers."""
        try:
            self._query("SELECT 1")
        except Transient:
            return False
        return True

    def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows that a question of people has for an answer.

        Raises:
            Transient: the database is away.
        """
        with self._reading:
            return _ask(self._reader, sql, parameters)

    def _query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self._lock:
            return _ask(self._client, sql, parameters)

    def _insert(self, table: str, data: Sequence[Row], columns: Sequence[str]) -> None:
        if not data:
            return
        with self._lock:
            try:
                self._client.insert(
                    table,
                    data,
                    column_names=columns,
                    column_types=self._types_of(table, columns),
                    settings={"insert_deduplication_token": token_of(table, data), **WATCH_FIRST},
                )
            except (*DATABASE_ERRORS, *UNFIT_VALUES) as error:
                raise classify_fault(error, "written") from error

    def _types_of(self, table: str, columns: Sequence[str]) -> Sequence[Any]:
        """Return the types of a table's columns, asked for once."""
        if table not in self._column_types:
            self._column_types[table] = self._client.create_insert_context(table, columns).column_types
        return self._column_types[table]

    def append(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Store rows of ``analyzer.history.rows`` by table, in the order of ``TABLES``.

        Raises:
            Transient: the database is away; what was stored before is stored again without harm.
            Rejected: a row that can never be stored; the tables before its own have their rows.
        """
        for table in TABLES:
            self._insert(table, tables.get(table, ()), rows.COLUMNS[table])

    def validated_before(self, until: dict[Subject, datetime]) -> dict[Subject, Judgement]:
        """Return for each subject its last secure or insecure judgement strictly before its instant."""
        sql = f"""
            SELECT name, type, vantage, argMax(judgement, observed_at) FROM observations
            INNER JOIN ({WANTED}) AS wanted USING (name, type, vantage)
            WHERE (name, type, vantage) IN %(subjects)s
              AND verdict IN ('secure', 'insecure') AND toUnixTimestamp64Micro(observed_at) < until
            GROUP BY name, type, vantage
        """
        rows_found = self._in_chunks(sql, until)
        return {(name, rdtype, vantage): rows.read_judgement(content) for name, rdtype, vantage, content in rows_found}

    def sightings_before(self, until: dict[Subject, datetime]) -> dict[Subject, list[Sighting]]:
        """Return each record in a subject's validated answers of the 30 days strictly before its instant.

        An observation counts for as long as polls went on with it.
        """
        kept_us = int(LEARNT_FOR.total_seconds()) * 1_000_000
        sql = f"""
            SELECT name, type, vantage, record, min(seen_us), max(last_us), sum(last_us - seen_us), count(), max(ttl_s)
            FROM (
                SELECT name, type, vantage, arrayJoin(answers) AS record, ttl_s,
                       toUnixTimestamp64Micro(observed_at) AS seen_us,
                       least(greatest(toUnixTimestamp64Micro(polled_at), seen_us), until) AS last_us
                FROM (
                    SELECT id, name, type, vantage, observed_at, answers, ttl_s, until FROM observations
                    INNER JOIN ({WANTED}) AS wanted USING (name, type, vantage)
                    WHERE (name, type, vantage) IN %(subjects)s
                      AND verdict IN ('secure', 'insecure') AND toUnixTimestamp64Micro(observed_at) < until
                    LIMIT 1 BY id
                ) AS o
                LEFT JOIN (
                    SELECT observation AS id, max(last_seen_at) AS polled_at FROM verdicts
                    WHERE (name, type, vantage) IN %(subjects)s GROUP BY observation
                ) AS v USING (id)
                WHERE last_us >= until - {kept_us}
            ) GROUP BY name, type, vantage, record
        """
        found: dict[Subject, list[Sighting]] = {}
        for name, rdtype, vantage, record, first_us, last_us, held_us, times, ttl_s in self._in_chunks(sql, until):
            sighting = Sighting(
                record, _instant(first_us), _instant(last_us), timedelta(microseconds=held_us), times, ttl_s
            )
            found.setdefault((name, rdtype, vantage), []).append(sighting)
        return found

    def _in_chunks(self, sql: str, until: dict[Subject, datetime]) -> Iterator[tuple[Any, ...]]:
        items = list(until.items())
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            parameters = {
                "subjects": [subject for subject, _ in chunk],
                "rows": [(*subject, int(at.timestamp() * 1_000_000)) for subject, at in chunk],
            }
            yield from self._query(sql, parameters)

    def latest_judgements(self) -> list[tuple[str, datetime, datetime, Judgement]]:
        """Return of every subject the observation that was polled last: id, when, when polled, and its judgement."""
        newest = """
            SELECT argMax(observation, last_seen_at) AS id, max(last_seen_at) AS seen_at
            FROM verdicts GROUP BY name, type, vantage
        """
        seen_at_by_id = dict(self._query(newest))
        # Not by a join, which would hold the judgements of all observations that there ever were.
        sql = f"""
            SELECT id, observed_at, judgement FROM observations WHERE id IN (SELECT id FROM ({newest})) LIMIT 1 BY id
        """
        found = (row for row in self._query(sql) if row[0] in seen_at_by_id)
        return [(i, at, seen_at_by_id[i], rows.read_judgement(content)) for i, at, content in found]

    def zones_lately(self, since: datetime, of: Sequence[tuple[str, str]] = ()) -> list[ZoneObservation]:
        """Return of every zone and vantage what tells its rollovers, oldest first.

        That is the newest observation, the newest validated one, and the first with each DS set and key set since then.
        With ``of`` only of these zones and vantages.
        """
        wanted = "(zone, vantage) IN %(of)s" if of else "true"
        sql = f"""
            SELECT observation FROM (
                SELECT zone, vantage, max(observed_at) AS at, argMax(observation, observed_at) AS observation
                FROM zones WHERE {wanted} GROUP BY zone, vantage
                UNION DISTINCT
                SELECT zone, vantage, max(observed_at) AS at, argMax(observation, observed_at) AS observation
                FROM zones WHERE verdict IN ('secure', 'insecure') AND {wanted} GROUP BY zone, vantage
                UNION DISTINCT
                SELECT zone, vantage, min(observed_at) AS at, argMin(observation, observed_at) AS observation
                FROM zones WHERE toUnixTimestamp64Micro(observed_at) >= %(since)s AND {wanted}
                GROUP BY zone, vantage, ds, keys
            ) ORDER BY at
        """
        starts = range(0, max(len(of), 1), CHUNK)
        chunks = [{"of": list(of[start : start + CHUNK]), "since": _us(since)} for start in starts]
        found = [row for chunk in chunks for row in self._query(sql, chunk)]
        return [rows.read_zone(content) for (content,) in found]

    def zones_at(self, zones: Sequence[str], vantage: str, at: datetime) -> dict[str, ZoneObservation]:
        """Return how each of these zones was seen through a vantage at an instant."""
        sql = """
            SELECT argMax(observation, observed_at) FROM zones
            WHERE zone IN %(zones)s AND vantage = %(vantage)s
              AND toUnixTimestamp64Micro(observed_at) <= %(at)s GROUP BY zone
        """
        parameters = {"zones": list(zones) or [""], "vantage": vantage, "at": int(at.timestamp() * 1_000_000)}
        found = [rows.read_zone(content) for (content,) in self._query(sql, parameters)]
        return {message.zone: message for message in found}

    def zones_stored_of(self, ids: Sequence[str]) -> set[str]:
        """Return which of these observations of zones are stored, by id."""
        return {
            str(key) for (key,) in self._query("SELECT id FROM zones WHERE id IN %(ids)s", {"ids": list(ids) or [""]})
        }

    def sweep_memories(self, of: Sequence[tuple[str, str]] = ()) -> list[tuple[str, str, str]]:
        """Return of every swept zone and vantage what was remembered after the newest sweep: zone, vantage, memory.

        With ``of`` only of these zones and vantages.
        """
        wanted = "(zone, vantage) IN %(of)s" if of else "true"
        sql = f"""
            SELECT zone, vantage, argMax(memory, swept_at) FROM sweeps
            WHERE memory != '' AND {wanted} GROUP BY zone, vantage ORDER BY zone, vantage
        """
        starts = range(0, max(len(of), 1), CHUNK)
        found = [row for start in starts for row in self._query(sql, {"of": list(of[start : start + CHUNK])})]
        return [(str(zone), str(vantage), str(memory)) for zone, vantage, memory in found]

    def sweeps_stored_of(self, zones_by_id: Mapping[str, str]) -> set[str]:
        """Return which of these sweeps are stored, by id; the zones that they are of find them fast."""
        sql = "SELECT id FROM sweeps WHERE zone IN %(zones)s AND id IN %(ids)s"
        parameters = {"zones": sorted({*zones_by_id.values()}) or [""], "ids": sorted(zones_by_id) or [""]}
        return {str(key) for (key,) in self._query(sql, parameters)}

    def sweeps(
        self, zone: str = "", limit: int = 1000, *, vantage: str = "", after: Place | None = None
    ) -> list[ZoneSweep]:
        """Return sweeps, newest first: of one zone all that are kept, without one the newest of each zone.

        With ``after`` only what comes behind that place.
        """
        sql = """
            SELECT sweep FROM (
                SELECT sweep, swept_at, id FROM sweeps FINAL
                WHERE (%(zone)s = '' OR zone = %(zone)s) AND (%(vantage)s = '' OR vantage = %(vantage)s)
                ORDER BY swept_at DESC, id LIMIT %(each)s BY zone, vantage
            )
            WHERE (-toUnixTimestamp64Micro(swept_at), id) > (%(at)s, %(id)s)
            ORDER BY swept_at DESC, id LIMIT %(limit)s
        """
        at, key = after or FIRST
        each = 2**31 if zone else 1
        parameters = {"zone": zone, "vantage": vantage, "each": each, "at": at, "id": key, "limit": limit}
        return [rows.read_sweep(content) for (content,) in self._query(sql, parameters)]

    def acts(
        self, limit: int = 1000, *, kind: str = "", by: str = "", subject: str = "", after: Place | None = None
    ) -> list[Act]:
        """Return what people did, newest first; with ``after`` only what comes behind that place."""
        sql = """
            SELECT act FROM acts FINAL
            WHERE (%(kind)s = '' OR kind = %(kind)s) AND (%(by)s = '' OR who = %(by)s)
              AND (%(subject)s = '' OR subject = %(subject)s)
              AND (-toUnixTimestamp64Micro(at), id) > (%(at)s, %(id)s)
            ORDER BY at DESC, id LIMIT %(limit)s
        """
        at, key = after or FIRST
        parameters = {"kind": kind, "by": by, "subject": subject, "at": at, "id": key, "limit": limit}
        return [rows.read_act(content) for (content,) in self._query(sql, parameters)]

    def standing_acts(self, kinds: Sequence[str]) -> list[Act]:
        """Return all that people did of these kinds, oldest first."""
        sql = "SELECT act FROM acts FINAL WHERE kind IN %(kinds)s ORDER BY at, id"
        return [rows.read_act(content) for (content,) in self._query(sql, {"kinds": list(kinds)})]

    def open_findings(self) -> list[Finding]:
        """Return the newest version of every state that is not closed, and of the drifts of the last day."""
        sql = f"""
            SELECT argMax(finding, version) FROM findings GROUP BY id
            HAVING argMax(status, version) != 'closed'
               AND (any(kind) != 'drift' OR max(updated_at) >= (SELECT max(updated_at) FROM findings) - {DRIFTS_KEPT})
        """
        return rows.read_findings(content for (content,) in self._query(sql))

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
        """Return the newest version of findings, newest first; ``status`` is open, closed or empty for both.

        Of open ones the states come first: a drift never closes, and must not push them off a list. With ``name`` only
        those that are about it, or list it among their endpoints. With ``after`` only what comes behind that place.
        """
        sql = """
            SELECT argMax(finding, version) AS newest FROM findings GROUP BY id
            HAVING (%(status)s = '' OR (argMax(status, version) = 'closed') = (%(status)s = 'closed'))
               AND (%(code)s = '' OR any(code) = %(code)s) AND (%(zone)s = '' OR any(cause_zone) = %(zone)s)
               AND toUnixTimestamp64Micro(max(updated_at)) >= %(since)s
               AND (%(name)s = '' OR position(newest, concat(%(name)s, ' ')) > 0
                    OR position(newest, concat(%(name)s, '"')) > 0)
               AND (%(severity)s = '' OR argMax(severity, version) = %(severity)s)
               AND (%(status)s != 'open' OR any(kind) = 'drift',
                    -toUnixTimestamp64Micro(argMax(updated_at, version)), id) > (%(rank)s, %(at)s, %(id)s)
            ORDER BY %(status)s != 'open' OR any(kind) = 'drift', argMax(updated_at, version) DESC, id LIMIT %(limit)s
        """
        since_us = int(since.timestamp() * 1_000_000) if since else 0
        quoted = msgspec.json.encode(name).decode()[:-1] if name else ""  # as the stored JSON has it at its beginning
        rank, at, key = after or (-1, *FIRST)
        parameters = {
            "status": status,
            "code": code,
            "zone": zone,
            "name": quoted,
            "since": since_us,
            "limit": limit,
            "severity": severity,
            "rank": rank,
            "at": at,
            "id": key,
        }
        return rows.read_findings(content for (content,) in self._query(sql, parameters))

    def findings_of(self, ids: Sequence[str]) -> list[Finding]:
        """Return the newest version of each of these findings."""
        sql = "SELECT argMax(finding, version) FROM findings WHERE id IN %(ids)s GROUP BY id"
        return rows.read_findings(content for (content,) in self._query(sql, {"ids": list(ids) or [""]}))

    def ids_of_findings(self, prefix: str, limit: int) -> list[str]:
        """Return the ids of findings that begin so, the newest first; of a whole id only that."""
        sql = """
            SELECT id FROM findings WHERE startsWith(id, %(prefix)s)
            GROUP BY id ORDER BY max(updated_at) DESC LIMIT %(limit)s
        """
        return [key for (key,) in self._query(sql, {"prefix": prefix, "limit": limit})]

    def digests_of_evidence(self, prefix: str, limit: int) -> list[str]:
        """Return the digests of evidence that begin so; of a whole digest only that."""
        sql = "SELECT DISTINCT digest FROM evidence WHERE startsWith(digest, %(prefix)s) LIMIT %(limit)s"
        return [digest for (digest,) in self._query(sql, {"prefix": prefix, "limit": limit})]

    def findings_at(self, at: datetime) -> list[Finding]:
        """Return the findings as they were just before an instant: states that were open, and drifts of that day."""
        sql = f"""
            SELECT argMax(finding, version) FROM findings WHERE toUnixTimestamp64Micro(updated_at) < %(at)s GROUP BY id
            HAVING argMax(status, version) != 'closed'
               AND (any(kind) != 'drift' OR max(updated_at) >= fromUnixTimestamp64Micro(%(at)s) - {DRIFTS_KEPT})
            ORDER BY max(updated_at), id
        """
        return rows.read_findings(content for (content,) in self._query(sql, {"at": _us(at)}))

    def versions(self, since: datetime, after: tuple[datetime, str, int] | None, limit: int) -> list[Finding]:
        """Return what was reported of findings since an instant, oldest first: every version.

        With ``after`` (instant, id and version of one) only what comes behind that.
        """
        sql = """
            SELECT finding FROM findings FINAL
            WHERE toUnixTimestamp64Micro(updated_at) >= %(since)s
              AND (toUnixTimestamp64Micro(updated_at), id, version) > (%(at)s, %(id)s, %(version)s)
            ORDER BY updated_at, id, version LIMIT %(limit)s
        """
        at, key, version = (_us(after[0]), after[1], after[2]) if after is not None else (-1, "", 0)
        parameters = {"since": _us(since), "at": at, "id": key, "version": version, "limit": limit}
        return rows.read_findings(content for (content,) in self._query(sql, parameters))

    def gaps(self, since: datetime, until: datetime, longer_than: timedelta) -> list[tuple[datetime, datetime]]:
        """Return from when until when nothing at all was observed, as far as that is longer than a span."""
        sql = """
            SELECT came_at, ended_at FROM (
                SELECT first AS came_at,
                       max(last) OVER (ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS ended_at,
                       row_number() OVER (ORDER BY first) AS place
                FROM (
                    SELECT min(p.first_seen_at) AS first, max(p.last_seen_at) AS last FROM verdicts AS p
                    GROUP BY name, type, vantage, observation
                    HAVING toUnixTimestamp64Micro(last) >= %(since)s AND toUnixTimestamp64Micro(first) <= %(until)s
                )
            ) WHERE place = 1 OR toUnixTimestamp64Micro(came_at) - toUnixTimestamp64Micro(ended_at) > %(span)s
            ORDER BY came_at
        """
        parameters = {"since": _us(since), "until": _us(until), "span": int(longer_than.total_seconds() * 1_000_000)}
        begins = self._query(sql, parameters)
        if not begins:
            return [(since, until)]
        edges = [(since if place == 0 else ended_at, came_at) for place, (came_at, ended_at) in enumerate(begins)]
        sql = "SELECT max(last_seen_at) FROM verdicts WHERE toUnixTimestamp64Micro(first_seen_at) <= %(until)s"
        ((last_at,),) = self._query(sql, {"until": _us(until)})
        return [(begin, end) for begin, end in [*edges, (last_at, until)] if end - begin > longer_than]

    def first_triggers(self, ids: Sequence[str]) -> dict[str, str]:
        """Return which message opened each of these findings, by the finding's id."""
        sql = "SELECT id, argMin(trigger, version) FROM findings WHERE id IN %(ids)s GROUP BY id"
        return {str(key): str(trigger) for key, trigger in self._query(sql, {"ids": list(ids) or [""]})}

    def finding_versions(self, finding_id: str) -> list[Finding]:
        """Return every version of one finding, oldest first."""
        sql = "SELECT finding FROM findings FINAL WHERE id = %(id)s ORDER BY version"
        return rows.read_findings(content for (content,) in self._query(sql, {"id": finding_id}))

    def stored_of(self, observations: Sequence[str]) -> set[str]:
        """Return which of these observations are stored, by id."""
        return {key for key, _ in self._observations(observations, "''")}

    def judgements_of(self, observations: Sequence[str]) -> dict[str, Judgement]:
        """Return the judgements of those of these observations that are stored, by id."""
        return {key: rows.read_judgement(content) for key, content in self._observations(observations, "judgement")}

    def polled_until(self, names_by_id: Mapping[str, str]) -> dict[str, datetime]:
        """Return when each of these observations was last polled, by id; the names that they are of find them fast."""
        ids = sorted(names_by_id)
        found: dict[str, datetime] = {}
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            sql = """
                SELECT observation, max(last_seen_at) FROM verdicts
                WHERE name IN %(names)s AND observation IN %(ids)s GROUP BY observation
            """
            names = sorted({names_by_id[one] for one in chunk})
            found.update({str(one): at for one, at in self._query(sql, {"names": names, "ids": chunk})})
        return found

    def _observations(self, ids: Sequence[str], column: str) -> Iterator[tuple[str, str]]:
        for start in range(0, len(ids), CHUNK):
            sql = f"SELECT id, {column} FROM observations WHERE id IN %(ids)s LIMIT 1 BY id"
            for key, content in self._query(sql, {"ids": list(ids[start : start + CHUNK])}):
                yield str(key), str(content)

    def findings_triggered_by(self, triggers: Sequence[str]) -> list[Finding]:
        """Return what these messages caused when they were handled before."""
        sql = "SELECT finding FROM findings FINAL WHERE trigger IN %(triggers)s ORDER BY updated_at, id, version"
        return rows.read_findings(content for (content,) in self._query(sql, {"triggers": list(triggers)}))

    def identities(self) -> list[tuple[str, Identity]]:
        """Return every identity that is in the inventory, by id."""
        found = self._query("SELECT id, argMax(identity, seen_at) FROM identities GROUP BY id ORDER BY id")
        pairs = [(identity_id, rows.read_identity(content)) for identity_id, content in found]
        return [(identity_id, identity) for identity_id, identity in pairs if identity is not None]

    def renewals(self) -> dict[tuple[str, bool], list[tuple[float, float]]]:
        """Return for each zone, its key set (True) apart from its data, the last renewals of its signatures.

        Of each, oldest first, the share of the lifetime that was left, and the seconds since the one before.
        """
        sql = """
            SELECT zone, of_keys, arraySort(groupArray((at, left_ratio, interval_s))) FROM (
                SELECT * FROM renewals FINAL ORDER BY at DESC LIMIT 20 BY zone, of_keys
            ) GROUP BY zone, of_keys
        """
        return {(zone, bool(keys)): [(left, s) for _, left, s in found] for zone, keys, found in self._query(sql)}

    def intervals(
        self,
        name: str,
        rdtype: str = "",
        vantage: str = "",
        limit: int = 200,
        at: datetime | None = None,
        *,
        after: Place | None = None,
    ) -> list[dict[str, Any]]:
        """Return the verdict history of a name as intervals, newest first.

        With ``at`` only the last that began by then, of each type and vantage; without it, and with ``after``, only
        what comes behind that place. ``signed_until`` is when the signature
        over the answer itself ends, as the last poll saw it.
        """
        sql = """
            SELECT v.name, v.type, v.vantage, v.observation, o.verdict, o.cause_zone, o.reasons, o.answers, o.evidence,
                   v.first_seen_at, v.last_seen_at, v.signed_until
            FROM (
                SELECT name, type, vantage, observation, min(p.first_seen_at) AS first_seen_at,
                       max(p.last_seen_at) AS last_seen_at,
                       argMax(tuple(p.signed_until), p.last_seen_at).1 AS signed_until
                FROM verdicts AS p WHERE name = %(name)s GROUP BY name, type, vantage, observation
            ) AS v INNER JOIN (SELECT * FROM observations FINAL WHERE name = %(name)s) AS o ON o.id = v.observation
            WHERE (%(type)s = '' OR v.type = %(type)s) AND (%(vantage)s = '' OR v.vantage = %(vantage)s)
              AND toUnixTimestamp64Micro(v.first_seen_at) <= %(at)s
              AND (-toUnixTimestamp64Micro(v.first_seen_at), v.observation) > (%(after_at)s, %(after_id)s)
            ORDER BY v.first_seen_at DESC, v.observation LIMIT %(each)s BY v.type, v.vantage LIMIT %(limit)s
        """
        keys = (
            "name", "type", "vantage", "observation", "verdict", "cause_zone", "reasons", "answers", "evidence",
            "first_seen_at", "last_seen_at", "signed_until",
        )  # fmt: skip
        until = int(at.timestamp() * 1_000_000) if at is not None else 2**62
        each = 1 if at is not None else limit
        after_at, after_id = after or FIRST
        parameters = {
            "name": name,
            "type": rdtype,
            "vantage": vantage,
            "limit": limit,
            "at": until,
            "each": each,
            "after_at": after_at,
            "after_id": after_id,
        }
        return [dict(zip(keys, row, strict=True)) for row in self._query(sql, parameters)]

    def evidence(self, digest: str) -> Evidence | None:
        """Return the evidence of that digest, the messages of its zones first; None if it was never stored."""
        sql = """
            SELECT digest, name, type, at, messages, trust_anchors, policy, zones FROM evidence FINAL
            WHERE digest = %(digest)s LIMIT 1
        """
        found = self._query(sql, {"digest": digest})
        if not found:
            return None
        digest, name, rdtype, at, own, anchors, policy, zones = found[0]
        sql = "SELECT digest, messages FROM evidence FINAL WHERE digest IN %(digests)s"
        by_zone = dict(self._query(sql, {"digests": list(zones) or [""]}))
        digests = [one for zone in zones for one in by_zone.get(zone, ())] + list(own)
        wires: dict[str, bytes] = dict(
            self._query(
                "SELECT digest, hex(wire) FROM evidence_messages FINAL WHERE digest IN %(digests)s",
                {"digests": digests or [""]},
            )
        )
        return Evidence(
            digest=digest,
            name=name,
            type=rdtype,
            at=at,
            messages=tuple(bytes.fromhex(str(wires[one])) for one in digests if one in wires),
            trust_anchors=tuple(anchors),
            policy=msgspec.json.decode(policy),
            zones=tuple(zones),
        )


def _ask(client: Any, sql: str, parameters: Mapping[str, Any] | None) -> list[tuple[Any, ...]]:
    try:
        found: list[tuple[Any, ...]] = client.query(sql, parameters=parameters or {}, tz_mode="aware").result_rows
    except DATABASE_ERRORS as error:
        raise classify_fault(error, "read") from error
    return found


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _instant(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _us(at: datetime) -> int:
    """Return an instant in microseconds."""
    return int(at.timestamp() * 1_000_000)


Kind = TypeVar("Kind", bound=ClickHouseHistory)


def _tell_damage(history: ClickHouseHistory) -> None:
    for table, part, why, size in history.damaged_parts():
        log.error(
            "a part of the history is damaged and was put aside, so what it held is not shown: restore it from a"
            " backup, or remove it from the folder 'detached' of its table",
            extra={"table": table, "part": part, "why": why, "octets": size},
        )


def token_of(table: str, data: Sequence[Row]) -> str:
    """Return what tells a batch of rows from every other.

    Raises:
        ValueError, OverflowError: a value that no column can hold.
    """
    return hashlib.sha256(msgspec.msgpack.encode((table, data))).hexdigest()


def open_history(config: HistoryConfig, kind: type[Kind] = ClickHouseHistory) -> Kind:  # type: ignore[assignment]
    """Open the history, of the given kind, and migrate it.

    Raises:
        ConfigError: what the operator must change: another URL, a path in use by another process, user, password,
            rights or certificates of a server, its version, tables of another version.
        Transient: a server that does not answer.
    """
    scheme, _, rest = config.url.partition(":")
    if scheme == "chdb" and rest:
        if config.cluster:
            raise ConfigError(["history.cluster: the embedded engine has no cluster: it is for clickhouse://"])
        return _open_embedded(config, rest, kind)
    if scheme == "clickhouse":
        return _open_server(config, kind)
    raise ConfigError([f"history.url: {config.url!r} is neither chdb:PATH nor clickhouse://user@host:port/database"])


def _open_embedded(config: HistoryConfig, folder: str, kind: type[Kind]) -> Kind:
    path = (config.base / folder).resolve()
    client, lock_file = connect_embedded(path)
    history = kind(client, lock_file)
    try:
        migrate(client)
        history.read_apart(connect_again(path))
        _tell_damage(history)
    except DATABASE_ERRORS as error:
        history.close()
        raise ConfigError([f"history.url: the tables in {path} can't be made: {sentence_of(error)}"]) from error
    except ConfigError:
        history.close()
        raise
    return history


def _open_server(config: HistoryConfig, kind: type[Kind]) -> Kind:
    client = connect_server(config)
    try:
        migrate(client, config.cluster)
    except DATABASE_ERRORS as error:
        client.close()
        raise explain_refusal(error, server_of(config), config) from error
    except ConfigError:
        client.close()
        raise
    history = kind(client)
    history.read_apart(connect_server(config))
    return history
    return kind(client)


def place_of(at: datetime, key: str) -> Place:
    """Return where a row stands in a list that is sorted by instant, newest first."""
    return -_us(at), key


def place_of_finding(finding: Finding, status: str) -> FindingPlace:
    """Return where a finding stands in the list of that ``status``."""
    return int(status != "open" or finding.kind == "drift"), *place_of(finding.updated_at, finding.id)
