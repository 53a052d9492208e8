"""Zones: as they are now, and their keys, DS sets and signatures over time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from analyzer.history import rows
from analyzer.history.reading.asking import VERDICTS, Page, Read, read_page, to_us
from analyzer.history.reading.checks import WATCHED
from schemas.messages import ZoneObservation

# The zones that something watched lies behind, with the checks that do.
ZONES = f"""
    SELECT z.zone AS zone, z.vantage AS vantage, verdict, parent, reasons, ds_count, key_tags, algorithms, over,
           begins_at, ends_at, z.observed_at AS seen_at, checks, indexOf({list(VERDICTS)}, verdict) AS weakness
    FROM (SELECT * FROM zones_now FINAL) AS z INNER JOIN (
        SELECT arrayJoin(chain) AS zone, vantage, count() AS checks FROM judged_now FINAL
        WHERE key IN (SELECT key FROM ({WATCHED})) GROUP BY zone, vantage
    ) AS c ON c.zone = z.zone AND c.vantage = z.vantage
"""
ORDERS = {
    "verdict": "weakness DESC, checks DESC, zone, vantage",
    "zone": "zone, vantage",
    "checks": "checks DESC, zone, vantage",
    "ends": "ends_at IS NULL, ends_at, zone, vantage",
}
MOST_STEPS = 400


class ZoneRow(msgspec.Struct, frozen=True):
    """One zone as a vantage sees it: ``checks`` lie behind it, the signature over ``over`` ends first."""

    zone: str
    vantage: str
    verdict: str
    parent: str
    reasons: Sequence[str]
    ds_count: int
    key_tags: Sequence[int]
    algorithms: Sequence[int]
    over: str
    begins_at: datetime | None
    ends_at: datetime | None
    seen_at: datetime
    checks: int
    weakness: int


class End(msgspec.Struct, frozen=True):
    """What ends: a signature of a zone, over an RRset, with the checks that rest on it."""

    zone: str
    over: str
    begins_at: datetime | None
    ends_at: datetime
    checks: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which zones are wanted; empty: whatever."""

    text: str = ""
    verdict: str = ""
    vantage: str = ""


class Zones:
    """Asks for zones."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def page(self, wanted: Wanted, order: str, number: int, size: int) -> Page[ZoneRow]:
        """Return one page of the zones that are wanted, in one of ``ORDERS``."""
        parts, parameters = ["true"], {}
        for column, value in (("verdict", wanted.verdict), ("vantage", wanted.vantage)):
            if value:
                parts.append(f"{column} = %({column})s")
                parameters[column] = value
        if wanted.text:
            parts.append("positionCaseInsensitive(zone, %(text)s) > 0")
            parameters["text"] = wanted.text
        sql = f"SELECT * FROM ({ZONES}) WHERE {' AND '.join(parts)}"
        return read_page(self._read, sql, ORDERS[order], parameters, ZoneRow, number, size)

    def of_zone(self, zone: str) -> list[ZoneRow]:
        """Return one zone as each vantage sees it now, weakest first; ``checks`` is 0 where nothing lies behind it."""
        sql = f"""
            SELECT zone, vantage, verdict, parent, reasons, ds_count, key_tags, algorithms, over, begins_at, ends_at,
                   observed_at, toUInt64(0), indexOf({list(VERDICTS)}, verdict) AS weakness
            FROM zones_now FINAL WHERE zone = %(zone)s ORDER BY weakness DESC, vantage LIMIT 100
        """
        return [ZoneRow(*row) for row in self._read(sql, {"zone": zone})]

    def at(self, zones: Sequence[str], vantage: str, at: datetime | None) -> dict[str, ZoneObservation]:
        """Return each of these zones as a vantage saw it last, until an instant where one is given."""
        sql = """
            SELECT argMax(observation, observed_at) FROM zones WHERE zone IN %(zones)s AND vantage = %(vantage)s
              AND toUnixTimestamp64Micro(observed_at) <= %(at)s GROUP BY zone
        """
        until = to_us(at) if at is not None else 2**62
        found = self._read(sql, {"zones": list(zones) or [""], "vantage": vantage, "at": until})
        messages = [rows.read_zone(content) for (content,) in found]
        return {message.zone: message for message in messages}

    def steps(self, zone: str, vantage: str, since: datetime, until: datetime) -> list[ZoneObservation]:
        """Return how a zone went on through a vantage, oldest first, the last observation before ``since`` in front.

        Of very many the newest.
        """
        sql = f"""
            SELECT observation FROM zones WHERE zone = %(zone)s AND vantage = %(vantage)s
              AND toUnixTimestamp64Micro(observed_at) <= %(until)s
              AND observed_at >= (
                SELECT coalesce(maxOrNull(observed_at), toDateTime64(0, 6, 'UTC')) FROM zones
                WHERE zone = %(zone)s AND vantage = %(vantage)s AND toUnixTimestamp64Micro(observed_at) <= %(since)s)
            ORDER BY observed_at DESC LIMIT 1 BY observed_at LIMIT {MOST_STEPS}
        """
        parameters = {"zone": zone, "vantage": vantage, "since": to_us(since), "until": to_us(until)}
        return [rows.read_zone(content) for (content,) in reversed(self._read(sql, parameters))]

    def ends(self, until: datetime) -> list[End]:
        """Return the signatures of zones that end by an instant, those over too, the next first; 500 at most."""
        sql = f"""
            SELECT zone, argMin(over, ends_at), argMin(begins_at, ends_at), min(z.ends_at) AS ends, max(checks)
            FROM ({ZONES}) AS z WHERE verdict IN ('secure', 'insecure') AND toUnixTimestamp64Micro(z.ends_at) <= %(at)s
            GROUP BY zone ORDER BY ends, zone LIMIT 500
        """
        return [End(*row) for row in self._read(sql, {"at": to_us(until)})]

    def answer_ends(self, since: datetime, until: datetime) -> list[tuple[datetime, int]]:
        """Return on which days how many signatures over answers end, as they are now."""
        sql = f"""
            SELECT toStartOfDay(signed_until) AS day, count() FROM ({WATCHED})
            WHERE signed_until IS NOT NULL AND verdict = 'secure'
              AND toUnixTimestamp64Micro(signed_until) BETWEEN %(since)s AND %(until)s GROUP BY day ORDER BY day
        """
        found: list[tuple[Any, ...]] = self._read(sql, {"since": to_us(since), "until": to_us(until)})
        return [(day, int(count)) for day, count in found]
