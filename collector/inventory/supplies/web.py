"""A document by its URL, asked for only if it changed.

Source: RFC 9110 §8.8 (validators), §13.1.2 (If-None-Match), §13.1.3 (If-Modified-Since).
"""

import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

from collector.config import WebSource
from collector.inventory.formats.known import Document
from collector.inventory.supplies.exchange import NOT_MODIFIED, Answer, Line, Refused
from collector.inventory.supplies.supply import Delivery

MOST_BYTES = 64 * 1024 * 1024
MOST_HEADERS = 50
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_HEADER = re.compile(rf"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*({_VALUE.pattern})")


class WebDocument:
    """The document at a URL; ``clock`` returns POSIX seconds."""

    def __init__(self, source: WebSource, clock: Callable[[], float] = time.time) -> None:
        self._source, self._clock = source, clock
        self._validators: dict[str, str] = {}

    def fetch(self) -> Delivery | None:
        """Return the document, None where it did not change.

        Raises:
            ValueError: there is none; the sentence says where and why, and nothing secret.
        """
        source = self._source
        try:
            line = Line(source.egress, source.ca_path)
            headers = {**read_headers(source.headers_path), **self._validators}
            answer = line.get(source.url, headers, deadline_s=source.timeout_s, most_bytes=MOST_BYTES)
            if answer.status == NOT_MODIFIED and self._validators:
                return None
            _check(answer)
        except Refused as problem:
            self._validators = {}
            raise ValueError(f"{source.name}: {problem}") from None
        self._validators = _validators_of(answer)
        written = _written_at(answer.headers.get("last-modified", "")) or self._clock()
        document = Document("", source.name, answer.body)
        return Delivery((document,), written_ns=int(written * 1e9))


def read_headers(path: str) -> dict[str, str]:
    """Return the headers in a file, ``Name: value`` a line; ``#`` begins a comment.

    Raises:
        Refused: it can't be read, or a line is no header; the sentence has nothing of it.
    """
    if not path:
        return {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} can't be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    headers: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _HEADER.fullmatch(line.strip())
        if found is None or len(headers) >= MOST_HEADERS:
            raise Refused(f"{path}:{number}: 'Name: value' is expected, in ASCII; at most {MOST_HEADERS} of them")
        headers[found[1]] = found[2]
    return headers


def _check(answer: Answer) -> None:
    match answer.status:
        case 200:
            if answer.headers.get("content-type", "").lower().startswith("text/html"):
                raise Refused("it answers with a web page, perhaps one to log in: the document itself is needed")
        case 401 | 403:
            raise Refused(f"it answers {answer.status}: the credentials in 'headers_file' are not accepted, or missing")
        case _:
            raise Refused(f"it answers {answer.status}")


def _validators_of(answer: Answer) -> dict[str, str]:
    """Return what to ask with next time, so that only a change is answered in full."""
    asked = {"if-none-match": "etag", "if-modified-since": "last-modified"}
    said = {ask: answer.headers.get(key, "") for ask, key in asked.items()}
    return {ask: text for ask, text in said.items() if _VALUE.fullmatch(text)}


def _written_at(text: str) -> float:
    """Return an HTTP date in POSIX seconds, 0 where there is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
