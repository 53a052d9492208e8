"""What every way of reaching people has in common: one attempt, and what came of it."""

import re
from dataclasses import dataclass
from typing import Protocol

import urllib3

from alerts.delivery import Delivery

TIMEOUT_S = 15.0
SIDE_BY_SIDE = 4
"""So many deliveries to one receiver may be under way at once."""
LONGEST_WAIT_S = 900.0
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to; ``retry``: another may succeed; ``retry_after_s`` is what the receiver asked for."""

    delivered: bool
    detail: str
    retry: bool = True
    retry_after_s: float | None = None


class Notifier(Protocol):
    """One receiver. ``send`` blocks, tries once and never raises for what the receiver does."""

    def send(self, delivery: Delivery, now: float) -> Outcome:
        """Say it; repeating one delivery must be harmless to the receiver. ``now`` is POSIX seconds."""
        ...


def post_json(pool: urllib3.PoolManager, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
    """POST once, follow nothing, and class the answer."""
    try:
        answer = pool.request(
            "POST",
            url,
            body=body,
            headers={"content-type": "application/json", "user-agent": "anchorwatch", **headers},
            timeout=TIMEOUT_S,
            redirect=False,
            retries=False,
        )
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return Outcome(False, f"no answer: {type(error).__name__}")
    if 200 <= answer.status < 300:
        return Outcome(True, f"HTTP {answer.status}")
    said = answer.data[:200].decode("utf-8", "replace")
    retry_after = re.fullmatch(r"[0-9]{1,9}", answer.headers.get("retry-after", ""))
    return Outcome(
        False,
        f"HTTP {answer.status}: {said}",
        retry=answer.status in RETRY_STATUSES or answer.status >= 500,
        retry_after_s=min(float(retry_after[0]), LONGEST_WAIT_S) if retry_after else None,
    )
