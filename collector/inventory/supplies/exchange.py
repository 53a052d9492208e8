"""One GET under one deadline, with all of its answer; nothing is shown of secrets.

Redirections are followed only to where the request went in the first place, since its headers hold secrets. The answer
is not decompressed: a small one may unfold to gigabytes.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import urllib3

from schemas.deadline import Deadline
from schemas.egress import Egress

AGENT = "anchorwatch"
MOST_REDIRECTIONS = 3
CHUNK_BYTES = 1 << 16
NOT_MODIFIED = 304
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, headers (names in lower case) and body of an answer; the body of a refusal is not read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Refused(ValueError):
    """There is no answer that can be used; the sentence says why, and nothing of the URL."""


class Unreachable(Refused):
    """There was no answer at all, or no whole one."""


class Line:
    """The way to one server by the rule ``egress``; ``ca_path`` has other authorities to trust."""

    def __init__(self, egress: Egress, ca_path: str = "") -> None:
        self._egress, self._ca_path = egress, ca_path or egress.ca_path

    def get(self, url: str, headers: Mapping[str, str], *, deadline_s: float, most_bytes: int) -> Answer:
        """Return the answer to a GET; of a status other than 200 without its body.

        Raises:
            Unreachable: there was none in time.
            Refused: it is too long, compressed, or leads elsewhere.
        """
        with Deadline(deadline_s) as deadline:
            try:
                return self._follow(url, headers, deadline, most_bytes)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise Unreachable(_explain(error, deadline_s, is_over=deadline.is_over)) from None

    def _follow(self, url: str, headers: Mapping[str, str], deadline: Deadline, most_bytes: int) -> Answer:
        at = url
        for _ in range(MOST_REDIRECTIONS + 1):
            with self._asked(at, headers, deadline) as response:
                found = {key.lower(): value for key, value in response.headers.items()}
                if response.status not in _REDIRECTS:
                    body = _body_of(response, found, deadline, most_bytes) if response.status == 200 else b""
                    return Answer(response.status, found, body)
            target = _target(at, found.get("location", ""))
            if _origin_of(target) != _origin_of(url):
                raise Refused(
                    "it leads to another server, and is not followed there: give the URL of the document itself"
                )
            at = target
        raise Refused("it leads from one place to the next without end")

    @contextlib.contextmanager
    def _asked(self, url: str, headers: Mapping[str, str], deadline: Deadline) -> Iterator[urllib3.BaseHTTPResponse]:
        trusted = ssl.create_default_context(cafile=self._ca_path or None) if url.startswith("https:") else None
        is_wrapped = self._egress.proxy_for(url).startswith("https:")
        of_proxy = ssl.create_default_context(cafile=self._egress.ca_path or None) if is_wrapped else None
        manager = deadline.manager(url, self._egress, trusted, of_proxy)
        try:
            response = manager.request(
                "GET",
                url,
                headers={"user-agent": AGENT, "connection": "close", "accept-encoding": "identity", **headers},
                timeout=deadline.left_s(),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
            with contextlib.closing(response):
                deadline.check()  # a head that was cut reads like a whole one
                yield response
        finally:
            manager.clear()


def _target(at: str, location: str) -> str:
    try:
        return urljoin(at, location)
    except ValueError:
        return ""


def _origin_of(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def _body_of(
    response: urllib3.BaseHTTPResponse, headers: Mapping[str, str], deadline: Deadline, most_bytes: int
) -> bytes:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused("the answer is compressed, though that was not asked for")
    chunks, length = [], 0
    while chunk := response.read(CHUNK_BYTES):
        length += len(chunk)
        if length > most_bytes:
            raise Refused(f"the answer is longer than {most_bytes >> 20} MiB")
        deadline.check()
        chunks.append(chunk)
    deadline.check()
    return b"".join(chunks)


def _explain(error: BaseException, deadline_s: float, *, is_over: bool) -> str:
    """Return why there is no answer, by its first cause; what a library says of it may have the URL in it."""
    seen = 0
    while seen < 10:
        reason = getattr(error, "reason", None)
        inner = reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__
        if isinstance(error, ssl.SSLCertVerificationError | socket.gaierror) or inner is None:
            break
        error, seen = inner, seen + 1
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate can't be trusted: {error.verify_message}"
    if is_over or isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return f"no whole answer within {deadline_s:g} s"
    if isinstance(error, socket.gaierror):
        return "its name can't be looked up"
    if isinstance(error, FileNotFoundError):
        return "the file of authorities to trust is not there"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'no reason given'}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"the answer ended early, or is no HTTP ({type(error).__name__})"
