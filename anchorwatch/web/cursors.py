"""Places in a list: pure.

A cursor says behind which row a page begins, by what the list is sorted by, so that rows which come in meanwhile move
nothing. It belongs to one list with its filters. It is no secret and opens nothing: whoever makes one of his own gets
rows that he could have listed. The digest finds what was cut, typed or meant for another list.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from anchorwatch.web.doors import BadQuery

Key = tuple[int | str, ...]
Row = TypeVar("Row")
CURSOR, LIMIT = "cursor", "limit"
DIGEST_BYTES = 9
START_ANEW = "begin the list anew, without cursor="


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a list that is asked for: ``limit`` rows behind ``after``, from the beginning where that is None.

    ``path`` and ``filters`` say of which list.
    """

    path: str
    filters: tuple[tuple[str, str], ...] = ()
    limit: int
    after: Key | None = None

    def next_link(self, key: Key) -> str:
        """Return the value of a Link header to the page behind a row. Source: RFC 8288 §3."""
        query = urlencode([*self.filters, (LIMIT, str(self.limit)), (CURSOR, make_cursor(self._list, key))])
        return f'<{self.path}?{query}>; rel="next"'

    @property
    def _list(self) -> str:
        return _name_of(self.path, self.filters)


class Part(Generic[Row]):
    """Rows of a page; ``more`` says that others come behind them."""

    def __init__(self, rows: Sequence[Row], more: bool, key: Callable[[Row], Key]) -> None:
        self.rows, self._more, self._key = rows, more, key

    def link(self, page: Page) -> str:
        """Return the Link header's value to the next page, nothing after the last."""
        return page.next_link(self._key(self.rows[-1])) if self._more and self.rows else ""


def cut(rows: Sequence[Row], key: Callable[[Row], Key], page: Page) -> Part[Row]:
    """Return a page of rows that are sorted by ``key``, ascending; all of them, or all behind the page's place."""
    after = page.after
    if after is not None:
        try:
            rows = [row for row in rows if key(row) > after]
        except TypeError as error:
            raise BadQuery(f"cursor= is none of this list: {START_ANEW}") from error
    return Part(rows[: page.limit], len(rows) > page.limit, key)


def cut_behind(rows: Sequence[Row], key: Callable[[Row], Key], page: Page) -> Part[Row]:
    """Return a page of rows in an order of their own: what comes behind the row that has the cursor's key.

    Raises:
        BadQuery: that row is gone.
    """
    if page.after is not None:
        place = next((place for place, row in enumerate(rows) if key(row) == page.after), None)
        if place is None:
            raise BadQuery(f"the row that cursor= speaks of is no longer in the list: {START_ANEW}")
        rows = rows[place + 1 :]
    return Part(rows[: page.limit], len(rows) > page.limit, key)


def read_page(path: str, given: Sequence[tuple[str, str]], limit: int, *, key: type = Key) -> Page:
    """Return the page that the parameters ask for; ``key`` is what a key of this list is made of.

    Raises:
        BadQuery: the cursor is none of this list.
    """
    filters = tuple(sorted((name, value) for name, value in given if name not in (CURSOR, LIMIT) and value))
    text = dict(given).get(CURSOR)
    after = read_cursor(_name_of(path, filters), text, key) if text is not None else None
    return Page(path=path, filters=filters, limit=limit, after=after)


def _name_of(path: str, filters: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(filters)}"


def make_cursor(name: str, key: Key) -> str:
    """Return the cursor of a row in the list of that name."""
    body = msgspec.json.encode(key)
    return _encode(_digest(name, body) + body)


def _encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def read_cursor(name: str, text: str, key: type = Key) -> Key:
    """Return the key of a row that a cursor was made of.

    Raises:
        BadQuery: it was made for another list or other filters, or was changed.
    """
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        digest, body = octets[:DIGEST_BYTES], octets[DIGEST_BYTES:]
        if digest == _digest(name, body) and text == _encode(octets):
            found: Key = msgspec.json.decode(body, type=key)
            return found
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        pass
    raise BadQuery(f"cursor= is of another list, of other filters, or was changed: {START_ANEW}")


def _digest(name: str, body: bytes) -> bytes:
    return hashlib.sha256(f"anchorwatch cursor 1 {name} ".encode() + body).digest()[:DIGEST_BYTES]
