"""What a query says: numbers, instants, names, and places in a list."""

from datetime import datetime

from starlette.requests import Request

from analyzer.history.clickhouse import ClickHouseHistory
from anchorwatch.web.doors import BadQuery, is_word, read_number
from collector.dnssec import names

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
