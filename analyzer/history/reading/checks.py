"""Checks: a name and type through a vantage, with their verdicts; and how one name went on.

A check is *watched* while it is polled: what was not, for a day before the newest poll of all, is left out.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from analyzer.history import rows
from analyzer.history.reading.asking import LATELY, VERDICTS, Page, Read, read_page, to_us
from schemas.judgement import Judgement

WEAKNESS = f"indexOf({list(VERDICTS)}, verdict)"
WATCHED = f"""
    SELECT name, type, vantage, verdict, cause_zone, last_seen_at, signed_until, observation, key FROM checks_now FINAL
    WHERE last_seen_at >= (SELECT max(last_seen_at) FROM checks_now) - INTERVAL {LATELY.days} DAY
"""
# The newest change of each check until an instant, of what was polled about then or later.
WATCHED_AT = f"""
    SELECT any(c.name) AS name, any(c.type) AS type, any(c.vantage) AS vantage,
           argMax(c.verdict, c.observed_at) AS verdict, argMax(c.cause_zone, c.observed_at) AS cause_zone,
           max(c.observed_at) AS last_seen_at,
           CAST(NULL AS Nullable(DateTime64(6, 'UTC'))) AS signed_until, '' AS observation, key
    FROM changes AS c WHERE toUnixTimestamp64Micro(c.observed_at) <= %(at)s
      AND key IN (
        SELECT key FROM checks_now FINAL
        WHERE toUnixTimestamp64Micro(last_seen_at) >= %(at)s - {LATELY // timedelta(microseconds=1)})
    GROUP BY key
"""
# Who is gone has no names.
CONSUMED = "SELECT arrayJoin(names) FROM identities FINAL WHERE true"
ORDERS = {
    "verdict": "weakness DESC, name, type, vantage",
    "name": "name, type, vantage",
    "cause": "cause_zone = '', cause_zone, name, type, vantage",
    "ends": "signed_until IS NULL, signed_until, name, type, vantage",
    "polled": "last_seen_at, name, type, vantage",
}


class Check(msgspec.Struct, frozen=True):
    """One check as it is; ``signed_until`` is when the signature over the answer itself ends.

    Of the past ``last_seen_at`` is when its verdict, or its answer, began.
    """

    name: str
    type: str
    vantage: str
    verdict: str
    cause_zone: str
    last_seen_at: datetime
    signed_until: datetime | None
    observation: str
    weakness: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which checks are wanted; empty: whatever. ``text`` stands in the name, its cause, or whom it serves."""

    text: str = ""
    verdict: str = ""
    vantage: str = ""
    type: str = ""
    cause: str = ""
    zone: str = ""
    owner: str = ""
    identity: str = ""
    at: datetime | None = None


class Interval(msgspec.Struct, frozen=True):
    """For how long a check was the same: verdict, cause, reasons and answers."""

    type: str
    vantage: str
    verdict: str
    cause_zone: str
    reasons: Sequence[str]
    answers: Sequence[str]
    first_seen_at: datetime
    last_seen_at: datetime
    evidence: str
    observations: int


class Checks:
    """Asks for checks."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def page(self, wanted: Wanted, order: str, number: int, size: int) -> Page[Check]:
        """Return one page of the checks that are wanted, in one of ``ORDERS``."""
        condition, parameters = _condition(wanted)
        sql = f"""
            SELECT name, type, vantage, verdict, cause_zone, last_seen_at, signed_until, observation,
                   {WEAKNESS} AS weakness FROM ({_source(wanted.at)}) WHERE {condition}
        """
        return read_page(self._read, sql, ORDERS[order], parameters, Check, number, size)

    def counts(self, wanted: Wanted) -> dict[str, int]:
        """Return how many checks that are wanted have each verdict, whichever verdict is wanted."""
        condition, parameters = _condition(msgspec.structs.replace(wanted, verdict=""))
        found: dict[str, int] = dict(
            self._read(
                f"SELECT verdict, count() FROM ({_source(wanted.at)}) WHERE {condition} GROUP BY verdict", parameters
            )
        )
        return {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS}

    def measure(self) -> tuple[int, datetime | None, datetime | None]:
        """Return how many names are watched, and when the check polled last and the one polled first of all were."""
        sql = f"SELECT uniqExact(name), maxOrNull(last_seen_at), minOrNull(last_seen_at) FROM ({WATCHED})"
        ((names, newest, oldest),) = self._read(sql, {})
        return names, newest, oldest

    def of_name(self, name: str, at: datetime | None = None) -> list[tuple[Check, Judgement]]:
        """Return the checks of one name, weakest first, each with the judgement that its newest poll confirms."""
        until = to_us(at) if at is not None else 2**62
        sql = f"""
            SELECT v.name, v.type, v.vantage, o.verdict AS verdict, o.cause_zone, v.last_seen_at, v.signed_until,
                   v.observation, {WEAKNESS} AS weakness, o.judgement
            FROM (
                SELECT name, type, vantage,
                       argMax(observation, tuple(p.last_seen_at, p.first_seen_at)) AS observation,
                       max(p.last_seen_at) AS last_seen_at,
                       argMax(tuple(p.signed_until), p.last_seen_at).1 AS signed_until
                FROM verdicts AS p WHERE name = %(name)s AND toUnixTimestamp64Micro(p.first_seen_at) <= %(at)s
                GROUP BY name, type, vantage
            ) AS v INNER JOIN (
                SELECT id, any(verdict) AS verdict, any(cause_zone) AS cause_zone, any(judgement) AS judgement
                FROM observations WHERE name = %(name)s AND toUnixTimestamp64Micro(observed_at) <= %(at)s GROUP BY id
            ) AS o ON o.id = v.observation
            ORDER BY weakness DESC, type, vantage LIMIT 200
        """
        found = self._read(sql, {"name": name, "at": until})
        checks = [(Check(*row[:-1]), rows.read_judgement(row[-1])) for row in found]
        if at is not None or not checks:
            return checks
        newest = max(check.last_seen_at for check, _ in checks)
        return [(check, judged) for check, judged in checks if check.last_seen_at >= newest - LATELY]

    def intervals(self, name: str, until: datetime | None, number: int, size: int) -> Page[Interval]:
        """Return how a name went on, newest first; neighbours that say the same are one."""
        sql = """
            SELECT type, vantage, any(verdict), any(cause_zone), any(reasons), any(answers), min(first) AS first_at,
                   max(last) AS last_at, argMax(evidence, first), toUInt64(count())
            FROM (
                SELECT *, sum(is_new) OVER (PARTITION BY type, vantage ORDER BY first, id
                                            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS place
                FROM (
                    SELECT *, row_number() OVER w = 1 OR lagInFrame(said) OVER w != said AS is_new
                    FROM (
                        SELECT o.id AS id, o.type AS type, o.vantage AS vantage, o.verdict AS verdict, cause_zone,
                               reasons, answers, evidence, v.first AS first, v.last AS last,
                               cityHash64(verdict, cause_zone, reasons, answers) AS said
                        FROM (SELECT * FROM observations WHERE name = %(name)s LIMIT 1 BY id) AS o
                        INNER JOIN (
                            SELECT observation, min(first_seen_at) AS first, max(last_seen_at) AS last
                            FROM verdicts WHERE name = %(name)s GROUP BY observation
                        ) AS v ON v.observation = o.id
                        WHERE toUnixTimestamp64Micro(first) <= %(until)s
                    )
                    WINDOW w AS (PARTITION BY type, vantage ORDER BY first, id
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
                )
            ) GROUP BY type, vantage, place
        """
        parameters = {"name": name, "until": to_us(until) if until is not None else 2**62}
        order = "first_at DESC, type, vantage"
        return read_page(self._read, sql, order, parameters, Interval, number, size)

    def since(self, checks: Sequence[Check]) -> dict[tuple[str, str, str], datetime]:
        """Return since when each of these checks has its verdict, by name, type and vantage."""
        if not checks:
            return {}
        sql = """
            WITH arraySort(groupArray((observed_at, verdict))) AS seen
            SELECT name, type, vantage, seen[arrayLastIndex(one -> one.2 != seen[-1].2, seen) + 1].1 FROM changes
            WHERE key IN (SELECT sipHash64(w.1, w.2, w.3) FROM (SELECT arrayJoin(%(keys)s) AS w))
            GROUP BY name, type, vantage
        """
        keys = [(check.name, check.type, check.vantage) for check in checks]
        return {(name, rdtype, vantage): at for name, rdtype, vantage, at in self._read(sql, {"keys": keys})}

    def vantages(self) -> list[tuple[str, str, str, int]]:
        """Return how many checks have which verdict and claim: vantage, verdict, claim, count.

        A claim is ``AD``, the rcode of an answer without it, or nothing where the resolver was not asked.
        """
        sql = f"""
            SELECT vantage, verdict, claim, count() FROM judged_now FINAL
            WHERE key IN (SELECT key FROM ({WATCHED}))
            GROUP BY vantage, verdict, claim ORDER BY vantage, verdict, claim
        """
        return [(str(a), str(b), str(c), int(count)) for a, b, c, count in self._read(sql, {})]

    def kinds(self) -> tuple[list[str], list[str]]:
        """Return the vantages and the types that there are."""
        sql = f"SELECT arraySort(groupUniqArray(vantage)), arraySort(groupUniqArray(type)) FROM ({WATCHED})"
        ((vantages, types),) = self._read(sql, {})
        return list(vantages), list(types)


def _source(at: datetime | None) -> str:
    return WATCHED if at is None else WATCHED_AT


def _condition(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """Return a condition on checks, and its parameters."""
    parts = [f"name IN ({CONSUMED})"] if wanted.at is None else ["true"]
    parameters: dict[str, Any] = {"at": to_us(wanted.at) if wanted.at is not None else 0}
    for column, value in (
        ("verdict", wanted.verdict),
        ("vantage", wanted.vantage),
        ("type", wanted.type),
        ("cause_zone", wanted.cause),
    ):
        if value:
            parts.append(f"{column} = %({column})s")
            parameters[column] = value
    if wanted.zone:
        parts.append("key IN (SELECT key FROM judged_now FINAL WHERE has(chain, %(zone)s))")
        parameters["zone"] = wanted.zone
    for column, value in (("owner", wanted.owner), ("id", wanted.identity)):
        if value:
            parts.append(f"name IN ({CONSUMED} AND {column} = %({column})s)")
            parameters[column] = value
    if wanted.text:
        parts.append(
            "(positionCaseInsensitive(name, %(text)s) > 0 OR positionCaseInsensitive(cause_zone, %(text)s) > 0"
            f" OR name IN ({CONSUMED} AND (positionCaseInsensitive(id, %(text)s) > 0"
            " OR positionCaseInsensitive(owner, %(text)s) > 0)))"
        )
        parameters["text"] = wanted.text
    return " AND ".join(parts), parameters
