"""Findings as they are now: sorted, filtered and counted by the columns of their newest versions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from analyzer.history.reading.asking import SEVERITIES, Page, Read, read_page, to_us

RANK = f"indexOf({list(SEVERITIES)}, severity)"
LISTED = 1000
COLUMNS = """id, version, code, kind, status, severity, confirmed, cause_zone, cause_rrset, detail, opened_at,
    updated_at, endpoint_count, identity_count, owners, servers"""
NOW = f"SELECT {COLUMNS} FROM findings_now FINAL"
# The versions that were the newest at an instant.
THEN = f"""
    SELECT {COLUMNS} FROM findings WHERE (id, version) IN (
        SELECT id, max(version) FROM findings WHERE toUnixTimestamp64Micro(updated_at) <= %(at)s GROUP BY id
    ) LIMIT 1 BY id
"""
# A state is open until it is closed, a drift until somebody accepts it, for as long as people still look at it.
OPEN = "status != 'closed' AND (kind != 'drift' OR updated_at >= {now} - INTERVAL 30 DAY)"
ORDERS = {
    "severity": "rank DESC, kind = 'drift', opened_at DESC, id",
    "opened": "opened_at DESC, id",
    "updated": "updated_at DESC, id",
    "cause": "cause_zone, rank DESC, id",
    "affected": "identity_count DESC, endpoint_count DESC, id",
}
# A finding lists only the first of very many identities: of the others it is known by the chains that they rest on.
BEHIND = f"""(
    identity_count > {LISTED} AND cause_zone IN (
        SELECT arrayJoin(chain) FROM judged_now WHERE name IN (
            SELECT arrayJoin(names) FROM identities FINAL WHERE {{column}} = %({{value}})s)))
"""
LISTS = "(id, version) IN (SELECT id, version FROM findings WHERE {what})"
STATES = ("open", "closed", "all")


class FindingRow(msgspec.Struct, frozen=True):
    """One finding as a list shows it."""

    id: str
    version: int
    code: str
    kind: str
    status: str
    severity: str
    confirmed: bool
    cause_zone: str
    cause_rrset: str
    detail: str
    opened_at: datetime
    updated_at: datetime
    endpoint_count: int
    identity_count: int
    owners: Sequence[str]
    servers: Sequence[str]
    rank: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which findings are wanted; empty: whatever. ``name`` is one that a finding is about or lists."""

    state: str = "open"
    kind: str = ""
    severity: str = ""
    code: str = ""
    zone: str = ""
    owner: str = ""
    name: str = ""
    identity: str = ""
    text: str = ""
    at: datetime | None = None


class Findings:
    """Asks for findings."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def page(self, wanted: Wanted, order: str, number: int, size: int) -> Page[FindingRow]:
        """Return one page of the findings that are wanted, in one of ``ORDERS``."""
        sql, parameters = _sql(wanted)
        return read_page(self._read, sql, ORDERS[order], parameters, FindingRow, number, size)

    def counts(self, wanted: Wanted) -> dict[str, int]:
        """Return how many findings that are wanted have each severity, the highest first."""
        sql, parameters = _sql(msgspec.structs.replace(wanted, severity=""))
        found: dict[str, int] = dict(self._read(f"SELECT severity, count() FROM ({sql}) GROUP BY severity", parameters))
        return {severity: int(found.get(severity, 0)) for severity in reversed(SEVERITIES)}

    def of_watch(self) -> list[FindingRow]:
        """Return what is wrong with the watch itself now, the worst first."""
        return self._open_where("startsWith(code, 'self_')", 50)

    def of_resolvers(self, most: int) -> list[FindingRow]:
        """Return what is wrong with resolvers now, the worst first."""
        return self._open_where("startsWith(cause_rrset, 'vantage ') OR startsWith(code, 'resolver_')", most)

    def of_owners(self, owners: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return the highest severity of what is open now of each of these owners, and how many findings that are."""
        sql, parameters = _sql(Wanted())
        counted = f"""
            SELECT owner, max(rank), count() FROM (SELECT arrayJoin(owners) AS owner, rank FROM ({sql}))
            WHERE owner IN %(these)s GROUP BY owner
        """
        found = self._read(counted, {**parameters, "these": list(owners)}) if owners else []
        return {str(owner): (SEVERITIES[int(rank) - 1], int(count)) for owner, rank, count in found}

    def _open_where(self, condition: str, most: int) -> list[FindingRow]:
        sql, parameters = _sql(Wanted())
        wanted = f"SELECT * FROM ({sql}) WHERE {condition} ORDER BY {ORDERS['severity']} LIMIT {most:d}"
        return [FindingRow(*row) for row in self._read(wanted, parameters)]


def _sql(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """Return a list of findings, without an order, and its parameters."""
    parameters: dict[str, Any] = {"at": to_us(wanted.at) if wanted.at is not None else 0}
    now = "fromUnixTimestamp64Micro(%(at)s)" if wanted.at is not None else "(SELECT max(updated_at) FROM findings_now)"
    parts = [{"open": OPEN.format(now=now), "closed": "status = 'closed'", "all": "true"}[wanted.state]]
    for column, value in (
        ("kind", wanted.kind),
        ("severity", wanted.severity),
        ("code", wanted.code),
        ("cause_zone", wanted.zone),
    ):
        if value:
            parts.append(f"{column} = %({column})s")
            parameters[column] = value
    if wanted.owner:
        parts.append(f"(has(owners, %(owner)s) OR {BEHIND.format(column='owner', value='owner')})")
        parameters["owner"] = wanted.owner
    if wanted.identity:
        listed = LISTS.format(what="position(finding, %(quoted)s) > 0")
        parts.append(f"({listed} OR {BEHIND.format(column='id', value='identity')})")
        parameters["identity"] = wanted.identity
        parameters["quoted"] = '{"id":' + msgspec.json.encode(wanted.identity).decode() + ","
    if wanted.name:
        what = "position(finding, concat(%(name)s, ' ')) > 0 OR position(finding, concat(%(name)s, '\"')) > 0"
        parts.append(LISTS.format(what=what))
        parameters["name"] = msgspec.json.encode(wanted.name).decode()[:-1]
    if wanted.text:
        columns = ("code", "cause_zone", "cause_rrset", "detail", "arrayStringConcat(owners, ' ')")
        parts.append("(" + " OR ".join(f"positionCaseInsensitive({one}, %(text)s) > 0" for one in columns) + ")")
        parameters["text"] = wanted.text
    source = THEN if wanted.at is not None else NOW
    sql = f"SELECT {COLUMNS}, {RANK} AS rank FROM ({source}) WHERE {' AND '.join(parts)}"
    return sql, parameters
