"""One POST of JSON to a receiver, and what came of it."""

import re
import ssl
from collections.abc import Sequence

import urllib3

from alerts.delivery.delivery import LONGEST_WAIT_S, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S
from alerts.receivers.receiver import Answer, HttpClient
from schemas.redaction import redact, secrets_of_url

CUT_OFF = (ssl.SSLEOFError, ssl.SSLSyscallError, ssl.SSLZeroReturnError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


def post_json(
    line: HttpClient,
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    hidden: Sequence[str] = (),
    deadline_s: float = DEADLINE_S,
) -> DeliveryOutcome:
    """POST once, follow nothing, and class the answer; what it echoes of ``hidden`` is left out of what is said."""
    answer = exchange_json(line, url, body, headers, deadline_s=deadline_s)
    return (
        answer
        if isinstance(answer, DeliveryOutcome)
        else classify_answer(answer, hidden=[*secrets_of_url(url), *hidden])
    )


def exchange_json(
    line: HttpClient,
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    deadline_s: float = DEADLINE_S,
    wants_body: bool = False,
) -> Answer | DeliveryOutcome:
    """POST once, follow nothing; return the answer, or what it means that there is none."""
    headers = {"content-type": "application/json", **headers}
    more = {"wants_body": True} if wants_body else {}
    try:
        return line.exchange("POST", url, body=body, headers=headers, deadline_s=deadline_s, **more)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return _classify_silence(error)


def classify_answer(answer: Answer, *, hidden: Sequence[str] = ()) -> DeliveryOutcome:
    """Return what an answer means; what it echoes of ``hidden`` is left out of what is said."""
    if 200 <= answer.status < 300:
        return DeliveryOutcome(True, f"HTTP {answer.status}")
    said = redact(answer.body.decode("utf-8", "replace"), [one for one in hidden if one])[:200]
    retry_after = re.fullmatch(r"[0-9]{1,9}", answer.headers.get("retry-after", ""))
    return DeliveryOutcome(
        False,
        f"HTTP {answer.status}: {said}",
        retry=answer.status in RETRY_STATUSES or answer.status >= 500,
        retry_after_s=min(float(retry_after[0]), LONGEST_WAIT_S) if retry_after else None,
    )


def _classify_silence(error: Exception) -> DeliveryOutcome:
    """Class what is no answer: TLS that does not fit is a refusal, all else may pass."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, CUT_OFF):
            return DeliveryOutcome(False, f"TLS: {getattr(seen, 'verify_message', '') or seen.reason}", retry=False)
        if isinstance(seen, urllib3.exceptions.ProxyError) and "Tunnel connection failed" in str(seen.original_error):
            return DeliveryOutcome(False, f"the proxy refuses: {seen.original_error}", retry="407" not in str(seen))
        seen = seen.__cause__ or seen.__context__ or getattr(seen, "original_error", None)
    return DeliveryOutcome(False, f"no answer: {type(error).__name__}")
