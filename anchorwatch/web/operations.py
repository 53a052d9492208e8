"""What a door of the API is: its path and method, what it takes and what it answers. Pure.

From one list of these come the routes, what is refused, and the description for others (OpenAPI).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from anchorwatch.web.cursors import CURSOR, LIMIT
from anchorwatch.web.doors import MAX_LONG_WORD, MAX_WORD, BadQuery, check_parameters
from anchorwatch.web.queries import MAX_LIMIT

Handler = Callable[[Request], Awaitable[ASGIApp]]
JSON, TEXT, HTML, STREAM = "application/json", "text/plain", "text/html", "text/event-stream"
FORM = "application/x-www-form-urlencoded"


TEXT_SCHEMA = {"type": "string", "format": "printable", "maxLength": MAX_WORD}


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of a query; ``values`` are all that it may be, where that is few."""

    name: str
    text: str
    schema: Mapping[str, Any] = msgspec.field(default_factory=lambda: {**TEXT_SCHEMA})
    values: tuple[str, ...] = ()
    required: bool = False
    repeated: bool = False


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path; ``answers`` is the type of the JSON that it answers, None where it answers none.

    ``body`` is the type of the JSON that it takes, ``form`` the fields of a form. ``errors`` are those besides what
    every door may answer. ``signature`` names the header by which it knows who asks, ``is_open`` says that it asks for
    nothing; one that ``acts`` is for who may act. One that is ``lenient`` takes any parameter.
    """

    path: str
    handler: Handler
    method: str = "GET"
    parameters: tuple[Parameter, ...] = ()
    answers: Any = None
    media_type: str = JSON
    status: int = 200
    body: Any = None
    form: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    signature: str = ""
    is_open: bool = False
    is_lenient: bool = False

    @property
    def acts(self) -> bool:
        """Return whether it changes something."""
        return self.method not in ("GET", "HEAD")

    @property
    def pages(self) -> bool:
        """Return whether it answers a list page by page."""
        return any(one.name == CURSOR for one in self.parameters)

    def check(self, given: Sequence[tuple[str, str]]) -> None:
        """Check parameters.

        Raises:
            BadQuery: one does not fit, or is missing.
        """
        if self.is_lenient:
            return
        by_name = {one.name: one for one in self.parameters}
        repeated = any(one.repeated for one in self.parameters)
        check_parameters(given, by_name, repeated=repeated, long=(CURSOR,))
        found = dict(given)
        for one in self.parameters:
            value = found.get(one.name, "")
            if one.required and not value:
                raise BadQuery(f"{one.name}= is needed")
            if one.values and value and value not in one.values:
                raise BadQuery(f"{one.name}={value!r} is none of {', '.join(one.values)}")


PAGE = (
    Parameter(
        name=LIMIT,
        text="How many rows at most; the next ones are at the Link with rel=next.",
        schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
    ),
    Parameter(
        name=CURSOR,
        text="The place from which a page begins, as a Link had it.",
        schema={"type": "string", "format": "cursor", "maxLength": MAX_LONG_WORD},
    ),
)


def choice(name: str, values: Sequence[str], text: str) -> Parameter:
    """Return a parameter that is one of a few words."""
    return Parameter(name=name, text=text, values=tuple(map(str, values)))


def word(name: str, text: str, **more: Any) -> Parameter:
    """Return a parameter that is printable text."""
    return Parameter(name=name, text=text, **more)


def dns_name(name: str, text: str, *, required: bool = False) -> Parameter:
    """Return a parameter that is the name of a host or a zone."""
    schema = {"type": "string", "format": "dns-name", "maxLength": MAX_WORD}
    return Parameter(name=name, text=text, schema=schema, required=required)


def instant(name: str, text: str, *, required: bool = False) -> Parameter:
    """Return a parameter that is an RFC 3339 time."""
    return Parameter(name=name, text=text, schema={"type": "string", "format": "date-time"}, required=required)


def routes_of(operations: Sequence[Operation]) -> list[Route]:
    """Return a route for each path, which says of every other method which ones there are."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        Route(path, partial(_dispatch, by_method), methods=list(by_method), name=path)
        for path, by_method in by_path.items()
    ]


async def _dispatch(by_method: Mapping[str, Operation], request: Request) -> ASGIApp:
    operation = by_method["GET" if request.method == "HEAD" else request.method]
    operation.check(request.query_params.multi_items())
    return await operation.handler(request)
