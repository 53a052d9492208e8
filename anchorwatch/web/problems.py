"""Errors as the API says them: RFC 9457, with the member ``error`` that scripts know from before. Pure."""

from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

MEDIA_TYPE = "application/problem+json"
SENTENCES = {404: "there is nothing at this path", 405: "this path does not take this method"}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong. Source: RFC 9457 §3.1; ``error`` says the same as ``detail``."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str


def problem(status: int, sentence: str, **headers: str) -> Response:
    """Return an error as an answer."""
    said = Problem(title=HTTPStatus(status).phrase, status=status, detail=sentence, error=sentence)
    return Response(msgspec.json.encode(said), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def explain_http(request: Request, error: Exception) -> Response:
    """Answer for a path or a method that is not there: in the words of the API below its paths, as text elsewhere."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if request.url.path.startswith(("/api/", "/-/")):
        return problem(error.status_code, SENTENCES.get(error.status_code, error.detail), **headers)
    return PlainTextResponse(error.detail, status_code=error.status_code, headers=headers)
