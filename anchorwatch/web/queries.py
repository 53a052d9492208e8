"""What a query says: numbers, instants, names, and places in a list."""

from datetime import datetime

from starlette.requests import Request

from analyzer.history.clickhouse import ClickHouseHistory
from anchorwatch.web.doors import BadQuery, Refused, is_word, read_number
from anchorwatch.web.incidents import ambiguity, is_hex
from collector.dnssec import names
from schemas.messages import Evidence, Finding

MAX_LIMIT = 10_000
MAX_NAME = 1100  # 253 octets, each written as four signs, and dots


def read_limit(request: Request, default: int = 1000) -> int:
    """Return how many rows are wanted at most."""
    return read_number(request.query_params.get("limit", str(default)), "limit", MAX_LIMIT)


def read_instant(request: Request, key: str) -> datetime | None:
    """Return an instant, None where none is given.

    Raises:
        BadQuery: it is none, or has no time zone.
    """
    text = request.query_params.get(key)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQuery(f"{key}={text!r} is no RFC 3339 time") from error
    if at.tzinfo is None:
        raise BadQuery(f"{key}={text!r} has no time zone")
    return at


def read_name(text: str, key: str = "name") -> str:
    """Return a name as the messages have it: lower case, with the dot of the root.

    Raises:
        BadQuery: it is no name.
    """
    if len(text) > MAX_NAME or not text.isprintable():
        raise BadQuery(f"{key}= has too many signs, or some that can't be printed")
    try:
        return names.to_text(names.from_text(text.lower()))
    except ValueError as error:
        raise BadQuery(f"{key}={text!r}: {error}") from error


def find_version(history: ClickHouseHistory, text: str) -> tuple[datetime, str, int]:
    """Return where ``ID.VERSION`` stands among what was reported.

    Raises:
        BadQuery: it is not there.
    """
    key, _, version = text.rpartition(".")
    found = [one for one in history.finding_versions(key) if str(one.version) == version] if is_word(key) else []
    if not found:
        raise BadQuery(f"after={text[:80]!r} is no ID.VERSION of a finding")
    return found[0].updated_at, found[0].id, found[0].version


def find_findings(history: ClickHouseHistory, text: str) -> list[Finding]:
    """Return the newest version of the finding whose id begins so, nothing where there is none; blocks.

    Raises:
        Refused: more than one begins so.
    """
    ids = history.ids_of_findings(text.lower(), 5) if is_hex(text) else []
    if len(ids) > 1:
        raise Refused(ambiguity(text, "findings", (one[:12] for one in ids)), 409)
    return history.findings_of(ids) if ids else []


def find_evidence(history: ClickHouseHistory, text: str) -> Evidence | None:
    """Return the evidence whose digest begins so, None where there is none; blocks.

    Raises:
        Refused: more than one begins so.
    """
    digests = history.digests_of_evidence(text.lower(), 5) if is_hex(text) else []
    if len(digests) > 1:
        raise Refused(ambiguity(text, "pieces of evidence", (one[:16] for one in digests)), 409)
    return history.evidence(digests[0]) if digests else None
