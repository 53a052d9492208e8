"""One HTTP exchange with a receiver under one deadline, of whose answer as much is read as matters."""

import contextlib
import ssl
from typing import Any

import urllib3

from alerts.receivers.receiver import Answer
from schemas.deadline import Deadline
from schemas.egress import Egress

MAX_BODY_BYTES = 2048
AGENT = "anchorwatch"


class Line:
    """The way to receivers by the rule ``egress``; safe to use from many threads at once."""

    def __init__(self, egress: Egress | None = None) -> None:
        self._egress = egress or Egress()
        self._tls = ssl.create_default_context(cafile=self._egress.ca_path or None)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        deadline_s: float,
        wants_body: bool = False,
        most_bytes: int = MAX_BODY_BYTES,
    ) -> Answer:
        """Send a request once, on a connection of its own, and return the answer; nothing is followed.

        The body of an answer is read, up to ``most_bytes``, only if it says why it refuses, or ``wants_body``.

        Raises:
            urllib3.exceptions.HTTPError: there was no answer in time, or none that is HTTP.
            OSError: the same.
        """
        with Deadline(deadline_s) as deadline:
            manager = deadline.manager(url, self._egress, self._tls, self._tls)
            try:
                answer = manager.request(
                    method,
                    url,
                    body=body or None,
                    headers={"user-agent": AGENT, "connection": "close", **(headers or {})},
                    timeout=deadline_s,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
                with contextlib.closing(answer):
                    deadline.check()  # a head that was cut reads like a whole one
                    return Answer(answer.status, _lower(answer.headers), _body_of(answer, wants_body, most_bytes))
            finally:
                manager.clear()


def _lower(headers: Any) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}


def _body_of(answer: urllib3.BaseHTTPResponse, is_wanted: bool, most_bytes: int) -> bytes:
    """Return why something was refused; an answer that says yes is yes, however its body goes on."""
    if 200 <= answer.status < 300 and not is_wanted:
        return b""
    with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
        return answer.read(most_bytes)
    return b""
