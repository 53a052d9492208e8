"""Who consumes what: identities and their owners, each with the weakest verdict among the names that it rests on."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from analyzer.history import rows
from analyzer.history.reading.asking import VERDICTS, Page, Read, read_page
from analyzer.history.reading.checks import WATCHED, WEAKNESS
from schemas.messages import Identity

BY_NAME = f"SELECT name, max({WEAKNESS}) AS worst FROM ({WATCHED}) GROUP BY name"
LIVING = "SELECT id, kind, owner, environment, criticality, names FROM identities FINAL WHERE identity != ''"
CRITICALITIES = ("low", "medium", "high", "critical")
# Each identity with the weakest verdict of its names; 0 while none of them was observed.
IDENTITIES = f"""
    SELECT id, any(kind) AS kind, any(owner) AS owner, any(environment) AS environment,
           any(criticality) AS criticality, count() AS hosts, max(worst) AS weakness,
           countIf(worst = 2) AS unsigned, countIf(worst = 4) AS bogus, countIf(worst = 3) AS dark
    FROM (SELECT id, kind, owner, environment, criticality, arrayJoin(names) AS name FROM ({{living}})) AS i
    LEFT JOIN ({BY_NAME}) AS c ON c.name = i.name GROUP BY id
"""
ORDERS = {
    "verdict": f"weakness DESC, indexOf({list(CRITICALITIES)}, criticality) DESC, id",
    "identity": "id",
    "owner": "owner, id",
    "criticality": f"indexOf({list(CRITICALITIES)}, criticality) DESC, weakness DESC, id",
    "hosts": "hosts DESC, id",
}
OWNERS_ORDERS = {
    "verdict": "bogus DESC, dark DESC, unsigned DESC, owner",
    "owner": "owner",
    "identities": "identities DESC, owner",
}


class IdentityRow(msgspec.Struct, frozen=True):
    """One identity: of how many hosts, ``unsigned``, ``bogus`` and ``dark`` (no verdict) ones among them."""

    id: str
    kind: str
    owner: str
    environment: str
    criticality: str
    hosts: int
    weakness: int
    unsigned: int
    bogus: int
    dark: int

    @property
    def verdict(self) -> str:
        """Return the weakest verdict, nothing while no name was observed."""
        return VERDICTS[self.weakness - 1] if self.weakness else ""


class OwnerRow(msgspec.Struct, frozen=True):
    """One owner: identities by their weakest verdict, and the hosts that they rest on."""

    owner: str
    identities: int
    secure: int
    unsigned: int
    dark: int
    bogus: int
    critical: int
    hosts: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which identities are wanted; empty: whatever."""

    text: str = ""
    owner: str | None = None
    kind: str = ""
    environment: str = ""
    criticality: str = ""
    verdict: str = ""
    name: str = ""
    zone: str = ""


class Identities:
    """Asks for identities and owners."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def page(self, wanted: Wanted, order: str, number: int, size: int) -> Page[IdentityRow]:
        """Return one page of the identities that are wanted, in one of ``ORDERS``."""
        parts, parameters = ["true"], {}
        for column, value in (
            ("owner", wanted.owner),
            ("kind", wanted.kind or None),
            ("environment", wanted.environment or None),
            ("criticality", wanted.criticality or None),
        ):
            if value is not None:
                parts.append(f"{column} = %({column})s")
                parameters[column] = value
        if wanted.name:
            parts.append("has(names, %(name)s)")
            parameters["name"] = wanted.name
        if wanted.zone:
            parts.append(
                "id IN (SELECT id FROM (SELECT id, arrayJoin(names) AS name FROM identities FINAL)"
                " WHERE name IN (SELECT name FROM judged_now WHERE has(chain, %(zone)s)))"
            )
            parameters["zone"] = wanted.zone
        if wanted.text:
            parts.append(
                "(positionCaseInsensitive(id, %(text)s) > 0 OR positionCaseInsensitive(owner, %(text)s) > 0"
                " OR arrayExists(name -> positionCaseInsensitive(name, %(text)s) > 0, names))"
            )
            parameters["text"] = wanted.text
        sql = IDENTITIES.format(living=f"{LIVING} AND {' AND '.join(parts)}")
        if wanted.verdict:
            sql = f"SELECT * FROM ({sql}) WHERE weakness = {VERDICTS.index(wanted.verdict) + 1:d}"
        return read_page(self._read, sql, ORDERS[order], parameters, IdentityRow, number, size)

    def owners(self, text: str, order: str, number: int, size: int) -> Page[OwnerRow]:
        """Return one page of the owners whose names have ``text`` in them, in one of ``OWNERS_ORDERS``."""
        living = f"{LIVING} AND positionCaseInsensitive(owner, %(text)s) > 0" if text else LIVING
        return read_page(self._read, _owners_of(living), OWNERS_ORDERS[order], {"text": text}, OwnerRow, number, size)

    def owner(self, owner: str) -> OwnerRow | None:
        """Return one owner, None where nothing is of it."""
        found = self._read(_owners_of(f"{LIVING} AND owner = %(owner)s"), {"owner": owner})
        return OwnerRow(*found[0]) if found else None

    def identity(self, key: str) -> Identity | None:
        """Return one identity as the inventory has it, None where there is none of this id."""
        found = self._read(
            "SELECT argMax(identity, seen_at) FROM identities WHERE id = %(id)s GROUP BY id", {"id": key}
        )
        return rows.read_identity(found[0][0]) if found else None

    def count(self) -> tuple[int, int, int]:
        """Return how many identities, owners and hosts there are."""
        sql = f"SELECT count(), uniqExactIf(owner, owner != ''), uniqExactArray(names) FROM ({LIVING})"
        ((identities, owners, hosts),) = self._read(sql, {})
        return identities, owners, hosts

    def kinds(self) -> list[tuple[str, int]]:
        """Return how many identities there are of each kind, the most first."""
        sql = f"SELECT kind, count() AS many FROM ({LIVING}) GROUP BY kind ORDER BY many DESC, kind"
        return [(str(kind), int(many)) for kind, many in self._read(sql, {})]

    def lately(self, most: int) -> list[tuple[str, datetime, str, bool]]:
        """Return who came, changed or left last: id, when, owner, and whether it is there."""
        sql = """
            SELECT id, seen_at, owner, identity != '' FROM identities FINAL ORDER BY seen_at DESC, id LIMIT %(most)s
        """
        return [(str(key), at, str(owner), bool(here)) for key, at, owner, here in self._read(sql, {"most": most})]

    def unobserved(self, most: int) -> tuple[int, list[tuple[str, str]]]:
        """Return how many hosts of the inventory are not watched, and the first of them, each with an identity."""
        sql = f"""
            SELECT name, min(id), count() OVER () FROM (SELECT id, arrayJoin(names) AS name FROM ({LIVING}))
            WHERE name NOT IN (SELECT name FROM ({WATCHED})) GROUP BY name ORDER BY name LIMIT %(most)s
        """
        found = self._read(sql, {"most": most})
        return (int(found[0][2]) if found else 0), [(str(name), str(key)) for name, key, _ in found]

    def at_risk(self, most: int) -> Sequence[tuple[str, int, int]]:
        """Return the owners with identities on bogus names, or on such without a verdict, the worst first.

        Of each how many of its identities rest on bogus and on dark names.
        """
        sql = f"""
            SELECT owner, uniqExactIf(id, worst = 4) AS bogus, uniqExactIf(id, worst = 3) AS dark
            FROM (SELECT id, owner, arrayJoin(names) AS name FROM ({LIVING})) AS i
            INNER JOIN (SELECT * FROM ({BY_NAME}) WHERE worst >= 3) AS c ON c.name = i.name
            GROUP BY owner ORDER BY bogus DESC, dark DESC, owner LIMIT %(most)s
        """
        return [(str(owner), int(bogus), int(dark)) for owner, bogus, dark in self._read(sql, {"most": most})]


def _owners_of(living: str) -> str:
    return f"""
        SELECT owner, count() AS identities, countIf(weakness = 1) AS secure, countIf(weakness = 2) AS unsigned,
               countIf(weakness = 3) AS dark, countIf(weakness = 4) AS bogus,
               countIf(criticality = 'critical') AS critical, sum(hosts) AS names
        FROM ({IDENTITIES.format(living=living)}) GROUP BY owner
    """
