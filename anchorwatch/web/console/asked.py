"""What the address of a page asks for: which page of a list, in which order, of when."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request

from anchorwatch.web.doors import BadQuery, read_number
from anchorwatch.web.queries import read_instant

MOST_PAGES = 1_000_000
SIZES = (25, 50, 100, 200)


class Asked:
    """The parameters of one request, and addresses like its own."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.path = request.url.path
        self.query: Mapping[str, str] = request.query_params

    def text(self, key: str) -> str:
        """Return a parameter without the space around it, empty where it is not given."""
        return self.query.get(key, "").strip()

    def one_of(self, key: str, known: Collection[str], default: str = "") -> str:
        """Return a parameter that is one of a few words.

        Raises:
            BadQuery: it is another one.
        """
        value = self.text(key) or default
        if value and value not in known:
            raise BadQuery(f"{key}={value!r} is none of {', '.join(known)}")
        return value

    @property
    def page(self) -> int:
        """Return which page is wanted, counted from 1."""
        return read_number(self.query.get("page") or "1", "page", MOST_PAGES)

    @property
    def size(self) -> int:
        """Return how many rows a page has."""
        size = read_number(self.query.get("rows") or "50", "rows", max(SIZES))
        if size not in SIZES:
            raise BadQuery(f"rows={size} is none of {', '.join(map(str, SIZES))}")
        return size

    @property
    def at(self) -> datetime | None:
        """Return of when the page is to be, None for now; a time without a zone is UTC, as a form's field gives it."""
        text = self.text("at")
        if text and "+" not in text and not text.endswith("Z"):
            try:
                naive = datetime.fromisoformat(text)
            except ValueError as error:
                raise BadQuery(f"at={text!r} is no time: 2026-11-24T12:00 is one") from error
            return naive if naive.tzinfo else naive.replace(tzinfo=UTC)
        return read_instant(self._request, "at") if text else None

    def link(self, **changes: Any) -> str:
        """Return the address of this page with other parameters; None leaves one out, and so does the first page."""
        query = {key: value for key, value in self.query.items() if value}
        query.update({key: str(value) for key, value in changes.items() if value not in (None, "")})
        for key, value in changes.items():
            if value in (None, "") or (key == "page" and value == 1):
                query.pop(key, None)
        if "page" not in changes:
            query.pop("page", None)
        path = quote(self.path, safe="/:@")
        return f"{path}?{urlencode(query)}" if query else path
