"""Microsoft Teams, by the workflow "Post to a channel when a webhook request is received": an adaptive card.

Source: Microsoft, "Create incoming webhooks with Workflows for Microsoft Teams"; a message has at most 28 KB.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.wording import MOST_SHOWN, describe, member_line
from alerts.receivers.exchange import Line
from alerts.receivers.posting import post_json
from alerts.receivers.receiver import HttpClient, Receiver, Secret, check_url, read_lines

MAX_BYTES = 27_000
MAX_TEXT = 1_500


class Teams(Receiver, frozen=True, kw_only=True, tag="teams"):
    """A channel's workflow; its URL is a secret."""

    webhook: Secret = msgspec.field(default="", name="webhook_file")

    @property
    def where(self) -> str:
        """Return what it is reached at."""
        return next(iter(read_lines(self.webhook)), "")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.webhook:
            yield "", "teams needs a 'webhook_file'"
        elif any(check_url(next(iter(read_lines(self.webhook)), ""))):
            yield "webhook_file", "the file holds the workflow's URL, which begins with https://"

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what posts to it."""
        return TeamsNotifier(next(iter(read_lines(self.webhook)), ""), http)


class TeamsNotifier:
    """Posts one card a delivery."""

    def __init__(self, url: str, line: HttpClient | None = None, *, deadline_s: float = DEADLINE_S) -> None:
        self._url, self._line, self._deadline_s = url, line or Line(), deadline_s

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Post once."""
        return post_json(
            self._line, self._url, make_card(delivery), {}, hidden=[self._url], deadline_s=self._deadline_s
        )


def make_card(delivery: Delivery) -> bytes:
    """Return the message; rows at its end are left out until it is small enough."""
    described = describe(delivery)
    colour = {"critical": "attention", "high": "warning"}.get(described["severity"], "default")
    head = [_text(described["summary"], weight="bolder", color="good" if delivery.event == "resolve" else colour)]
    rows = [f"Why now: {described['reason']}"]
    if delivery.event != "resolve":
        rows += [f"For {described['advice_for']}:"] if described["advice_for"] else []
        rows += [f"It means: {described['means']}"] if described["means"] else []
        rows += [f"{one['who']}: {one['what']}" for one in described["who_does_what"]]
        rows += [f"It is over: {described['over_when']}"] if described["over_when"] else []
    lists = [member_line(one, described["shared_code"]) for one in described["members"]] or [
        f"{one['code']} ({one['severity']}, {one['status']}): {one['detail']}" for one in described["findings"]
    ]
    count = described["member_count"] or described["finding_count"]
    rows += [f"- {row}" for row in lists[:MOST_SHOWN]]
    rows += [f"and {count - MOST_SHOWN} more"] if count > MOST_SHOWN else []
    while True:
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [*head, *(_text(row) for row in rows)],
            "actions": [
                {"type": "Action.OpenUrl", "title": name, "url": url} for name, url in described["links"].items()
            ],
        }
        content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        encoded = msgspec.json.encode({"type": "message", "attachments": [content]})
        if len(encoded) <= MAX_BYTES or not rows:
            return encoded
        rows.pop()


def _text(text: str, **more: Any) -> dict[str, Any]:
    """Return a text block; what Teams reads as Markdown is written as it is."""
    for sign in "\\[]*_`":
        text = text.replace(sign, "\\" + sign)
    return {"type": "TextBlock", "wrap": True, "text": text[:MAX_TEXT], **more}
