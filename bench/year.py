"""A year of history, written into the embedded engine by the engine itself: what its tables hold after such a year.

Every check is observed anew each day (``refresh_s``), changes some times a year, and is polled to the end; zones
renew their signatures each week. The tables of the pages are filled by the migration that made them, as in an upgrade.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect

from analyzer.history.migrations import load_migrations, migrate, statements_of

READING = 15
"""The migration that makes what pages read."""


@dataclass(frozen=True)
class Year:
    """How large: checks are names times two types times two vantages, a zone has ten names."""

    checks: int = 100_000
    days: int = 365
    identities: int = 20_000
    findings: int = 20_000
    changes: int = 4

    @property
    def names(self) -> int:
        """Return how many names are watched."""
        return self.checks // 4

    @property
    def zones(self) -> int:
        """Return how many zones they are in."""
        return max(1, self.names // 10)


# A check n: its name, type and vantage; its verdict now, and on the days on which it was another one.
NAME = "concat('host-', toString(intDiv(n, 4)), '.zone-', toString(intDiv(n, 40)), '.example.')"
TYPE = "if(n % 2 = 0, 'A', 'AAAA')"
VANTAGE = "if(intDiv(n, 2) % 2 = 0, 'corp', 'cloud')"
ZONE = "concat('zone-', toString(intDiv(n, 40)), '.example.')"
WORSE = "multiIf(intDiv(n, 40) % 200 = 7, 'bogus', intDiv(n, 40) % 300 = 11, 'indeterminate', '')"
USUAL = "if(intDiv(n, 40) % 10 < 6, 'secure', 'insecure')"
START = "toDateTime64({start:d}, 6, 'UTC')"


def fill(path: Path, year: Year) -> Iterator[tuple[str, float]]:
    """Write it, and yield each step with the seconds that it took."""
    client = clickhouse_connect.get_client(interface="chdb", path=str(path))
    early = [sql for version, _, sql in load_migrations() if version < READING]
    for sql in early:
        for statement in statements_of(sql):
            client.command(statement)
    start = int(time.time()) - year.days * 86_400
    for what, statement in (*_observations(year, start), *_others(year, start)):
        began = time.perf_counter()
        client.command(statement)
        yield what, time.perf_counter() - began
    began = time.perf_counter()
    _note(client)
    yield "the tables of the pages", time.perf_counter() - began
    client.close()


def _note(client: Any) -> None:
    """Apply the migrations; what was made above is made again without harm."""
    migrate(client)


def _observations(year: Year, start: int) -> Iterator[tuple[str, str]]:
    began = START.format(start=start)
    each = max(1, year.days // year.changes)
    judgement = f"""concat('{{"name":"', {NAME}, '","type":"', {TYPE}, '","vantage":"', {VANTAGE}, '","verdict":"', verdict,
        '","rcode":"NOERROR","reasons":[', if(verdict = 'secure', '', concat('{{"code":"', code, '","zone":"', {ZONE},
        '","detail":"as seen at ', toString(observed_at), '"}}')), '],"cause_zone":"', if(verdict = 'secure', '', {ZONE}),
        '","answers":["', answer, '"],"chain":[{{"zone":".","verdict":"secure"}},{{"zone":"example.","verdict":"secure"}},{{"zone":"',
        {ZONE}, '","verdict":"', verdict, '"}}],"links":[{{"name":"', {NAME}, '","type":"', {TYPE}, '","zone":"', {ZONE},
        '","verdict":"', verdict, '"}}],"validated_at":"', formatDateTime(observed_at, '%Y-%m-%dT%H:%i:%SZ'),
        '","evidence":"', evidence, '","resolver":{{"ad":', if(verdict = 'secure', 'true', 'false'), ',"rcode":"',
        if(verdict = 'bogus', 'SERVFAIL', 'NOERROR'), '"}}}}')"""
    for first in range(0, year.days, 30):
        last = min(first + 30, year.days)
        yield (
            f"observations of the days {first} to {last}",
            f"""
            INSERT INTO observations (id, name, type, vantage, observed_at, occasion, verdict, rcode, cause_zone, reasons,
                                      answers, expires_at, evidence, judgement)
            SELECT id, {NAME}, {TYPE}, {VANTAGE}, observed_at, occasion, verdict, 'NOERROR',
                   if(verdict = 'secure', '', {ZONE}), if(verdict = 'secure', [], [code]), [answer],
                   observed_at + INTERVAL 10 DAY, evidence, {judgement}
            FROM (
                SELECT n, day, lower(concat(hex(sipHash64(n, day)), hex(sipHash64(n, day, 1)))) AS id, {began} + toIntervalSecond(day * 86400 + n % 86400) AS observed_at,
                       multiIf(day = 0, 'first', (day + n) % {each} = 0, 'change', 'refresh') AS occasion,
                       intDiv(day + n, {each}) AS turn,
                       multiIf(day >= {year.days - 1} - n % 3, if({WORSE} = '', {USUAL}, {WORSE}),
                               turn % 7 = 3, 'bogus', {USUAL}) AS verdict,
                       multiIf(verdict = 'insecure', 'no_ds', verdict = 'bogus', 'rrsig_expired', 'timeout') AS code,
                       concat({NAME}, ' ', {TYPE}, if(n % 2 = 0, concat(' 192.0.', toString(turn % 9), '.', toString(n % 250)),
                              concat(' 2001:db8::', toString(turn % 9), ':', toString(n % 250)))) AS answer,
                       repeat(lower(concat(hex(sipHash64(n, turn)), hex(sipHash64(n, turn, 1)))), 2) AS evidence
                FROM (SELECT number % {year.checks} AS n, intDiv(number, {year.checks}) + {first} AS day
                      FROM numbers({year.checks * (last - first)}))
            )
            """,
        )
    yield (
        "their intervals",
        """
        INSERT INTO verdicts (name, type, vantage, observation, verdict, cause_zone, first_seen_at, last_seen_at, signed_until)
        SELECT name, type, vantage, id, verdict, cause_zone, observed_at,
               least(observed_at + INTERVAL 1 DAY, now64(6, 'UTC')), observed_at + toIntervalDay(1 + sipHash64(name) % 40)
        FROM observations
        """,
    )


def _others(year: Year, start: int) -> Iterator[tuple[str, str]]:
    began = START.format(start=start)
    weeks = year.days // 7 + 1
    window = '\'{"zone":"\', zone, \'","rrset":"\', zone, \' DNSKEY","inception_at":"\', began, \'","expires_at":"\', ends, \'"}\''
    link = """'{"zone":"', zone, '","verdict":"', verdict, '","ds":["', toString(tag), ' 13 2 AA"],"keys":[{"tag":', toString(tag),
        ',"algorithm":13,"flags":257,"bits":null,"digest":"d', toString(tag), '"}],"signed_by":[', toString(tag), ']}'"""
    evidence = """'{"digest":"', repeat(id, 2), '","name":"', zone, '","type":"DNSKEY","at":"', at, '","messages":[],"trust_anchors":[],"policy":{}}'"""
    yield (
        "zones",
        f"""
        INSERT INTO zones
        SELECT id, zone, vantage, observed_at, if(week = 0, 'first', 'change'), verdict, parent,
               if(verdict = 'secure', [], ['no_ds']), [concat(toString(tag), ' 13 2 AA')],
               [tuple(toUInt16(tag), toUInt8(13), toUInt16(257), NULL, concat('d', toString(tag)))], [toUInt16(tag)], observed_at,
               ends_at, repeat(id, 2),
               concat('{{"type":"zone.v1","id":"', id, '","zone":"', zone, '","vantage":"', vantage, '","occasion":"change","observed_at":"', at,
                      '","parent":"', parent, '","link":', {link}, ',"windows":[', {window}, '],"evidence":', {evidence}, '}}')
        FROM (
            SELECT z, week, lower(concat(hex(sipHash64('zone', z, week, v)), hex(sipHash64('zone', z, week, v, 1)))) AS id, if(v = 0, 'corp', 'cloud') AS vantage,
                   multiIf(z = 0, '.', z = 1, 'example.', concat('zone-', toString(z - 2), '.example.')) AS zone,
                   multiIf(z = 0, '', z = 1, '.', 'example.') AS parent,
                   if(z < 2 OR (z - 2) % 10 < 6, 'secure', 'insecure') AS verdict,
                   1000 + z % 60000 + intDiv(week, 13) AS tag,
                   {began} + toIntervalSecond(week * 604800 + z % 86400) AS observed_at,
                   observed_at + toIntervalDay(8 + z % 30) AS ends_at,
                   formatDateTime(observed_at, '%Y-%m-%dT%H:%i:%SZ') AS at, at AS began,
                   formatDateTime(ends_at, '%Y-%m-%dT%H:%i:%SZ') AS ends
            FROM (SELECT intDiv(number, {2 * weeks}) AS z, intDiv(number, 2) % {weeks} AS week, number % 2 AS v
                  FROM numbers({(year.zones + 2) * 2 * weeks}))
        )
        """,
    )
    each = max(1, year.names // year.identities)
    yield (
        "identities",
        f"""
        INSERT INTO identities (id, seen_at, identity)
        SELECT concat('sa-', toString(i)), {began},
               concat('{{"id":"sa-', toString(i), '","kind":"service_account","owner":"team-', toString(i % 200),
                      '","environment":"', if(i % 3 = 0, 'prod', 'test'), '","criticality":"',
                      multiIf(i % 20 = 0, 'critical', i % 5 = 0, 'high', 'medium'), '","endpoints":[',
                      arrayStringConcat(arrayMap(k -> concat('{{"host":"host-', toString((i * {each} + k) % {year.names}), '.zone-',
                          toString(intDiv((i * {each} + k) % {year.names}, 10)), '.example"}}'), range({each + 4})), ','), ']}}')
        FROM (SELECT number AS i FROM numbers({year.identities}))
        """,
    )
    yield (
        "findings",
        f"""
        INSERT INTO findings (id, version, key, code, kind, status, severity, confirmed, cause_zone, opened_at, updated_at,
                              trigger, finding, servers)
        SELECT id, version, id, code, kind, status, severity, true, zone, opened_at, updated_at, '',
               concat('{{"type":"finding.v1","id":"', id, '","key":"', id, '","version":', toString(version), ',"status":"', status,
                      '","code":"', code, '","kind":"', kind, '","severity":"', severity, '","confirmed":true,"cause_zone":"', zone,
                      '","detail":"as the bench has it, ', toString(f), '","vantages":["corp"],"endpoints":["host-', toString(f % {year.names}), '.', zone,
                      ' A"],"endpoint_count":40,"identities":[{{"id":"sa-', toString(f % {year.identities}), '","owner":"team-', toString(f % 200),
                      '"}}],"identity_count":1,"opened_at":"', formatDateTime(opened_at, '%Y-%m-%dT%H:%i:%SZ'),
                      '","updated_at":"', formatDateTime(updated_at, '%Y-%m-%dT%H:%i:%SZ'), '"}}'), []
        FROM (
            SELECT f, version, lower(concat(hex(sipHash64('finding', f)), hex(sipHash64('finding', f, 1)))) AS id,
                   multiIf(f % 4 = 0, 'rrsig_expired', f % 4 = 1, 'answer_changed', f % 4 = 2, 'rrsig_expiring', 'lame_delegation') AS code,
                   if(f % 4 = 1, 'drift', 'state') AS kind,
                   multiIf(version = 1, 'opened', version = 5 AND f % 20 != 0, 'closed', 'updated') AS status,
                   ['info', 'low', 'medium', 'high', 'critical'][1 + f % 5] AS severity,
                   concat('zone-', toString(f % {year.zones}), '.example.') AS zone,
                   {began} + toIntervalSecond(intDiv(f * {year.days * 86_400 - 86_400}, {year.findings})) AS opened_at,
                   opened_at + toIntervalSecond((version - 1) * 600) AS updated_at
            FROM (SELECT intDiv(number, 5) AS f, number % 5 + 1 AS version FROM numbers({year.findings * 5}))
        )
        """,
    )
