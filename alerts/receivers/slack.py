"""Slack: by a bot's token with a thread for each incident, or by an incoming webhook without.

DNS data are hostile: whatever is not ours is escaped, and goes into no mrkdwn that could ping or link. Source: Slack,
"Sending messages using incoming webhooks", "chat.postMessage", "Block Kit" (limits), "Formatting text" (escaping).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from alerts.delivery.advice import EVIDENCE, INCIDENT, RUNBOOK
from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.wording import MOST_SHOWN, describe, member_line, some_of
from alerts.receivers.exchange import Line
from alerts.receivers.posting import classify_answer, exchange_json, post_json
from alerts.receivers.receiver import HttpClient, Receiver, Secret, check_url, read_lines

API = "https://slack.com/api"
MAX_HEADER, MAX_SECTION, MAX_TEXT, MAX_BLOCKS = 150, 3000, 3500, 50
MARKS = {"critical": ":red_circle:", "high": ":large_orange_circle:", "medium": ":large_yellow_circle:"}
TITLES = {"trigger": "", "update": "UPDATE ", "reminder": "STILL OPEN ", "acknowledge": "", "resolve": ""}
LINKS = {INCIDENT: "Incident", RUNBOOK: "What to do", EVIDENCE: "Evidence"}
# Look-alikes keep what DNS says from formatting anything.
LOOK_ALIKES = {ord("*"): "∗", ord("~"): "∼", ord("`"): "ʼ"}
# Source: "chat.postMessage", Errors: these pass by themselves; anything else needs somebody to change something.
PASSING = frozenset({"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"})


class Slack(Receiver, frozen=True, kw_only=True, tag="slack"):
    """A channel: ``webhook`` is the secret URL of an incoming webhook; or ``token`` is a bot's, for ``channel``."""

    webhook: Secret = msgspec.field(default="", name="webhook_file")
    token: Secret = msgspec.field(default="", name="token_file")
    channel: str = ""
    api: str = API

    @property
    def where(self) -> str:
        """Return what it is reached at."""
        return next(iter(read_lines(self.webhook)), "") or self.api

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if bool(self.webhook) == bool(self.token):
            yield "", "slack needs either a 'webhook_file' or a 'token_file'"
        if self.token and not self.channel:
            yield "channel", "with a token the 'channel' is needed, as C0123ABCD"
        if self.webhook and any(check_url(next(iter(read_lines(self.webhook)), ""))):
            yield "webhook_file", "the file holds the webhook's URL, which begins with https://"
        for _, sentence in check_url(self.api):
            yield "api", sentence

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what posts to it."""
        webhook, token = (next(iter(read_lines(one)), "") for one in (self.webhook, self.token))
        return SlackNotifier(webhook=webhook, token=token, channel=self.channel, api=self.api, line=http)


class SlackNotifier:
    """Posts a message for each delivery; with a token further ones of an incident go into its thread."""

    def __init__(
        self,
        *,
        webhook: str = "",
        token: str = "",
        channel: str = "",
        api: str = API,
        line: HttpClient | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._webhook, self._token, self._channel, self._api = webhook, token, channel, api.rstrip("/")
        self._line, self._deadline_s = line or Line(), deadline_s

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Post once."""
        message = make_message(delivery)
        if self._webhook:
            body = msgspec.json.encode(message)
            return post_json(self._line, self._webhook, body, {}, hidden=[self._webhook], deadline_s=self._deadline_s)
        thread = delivery.incident.memos.get(delivery.receiver, "")
        message["channel"] = self._channel
        if thread:
            message["thread_ts"] = thread
            # What makes things worse must be seen in the channel, too.
            message["reply_broadcast"] = delivery.event == "resolve" or bool(delivery.rings)
        return self._post_as_bot(message, thread)

    def _post_as_bot(self, message: Mapping[str, Any], thread: str) -> DeliveryOutcome:
        answer = exchange_json(
            self._line,
            f"{self._api}/chat.postMessage",
            msgspec.json.encode(message),
            {"authorization": f"Bearer {self._token}", "content-type": "application/json; charset=utf-8"},
            deadline_s=self._deadline_s,
            wants_body=True,
        )
        if isinstance(answer, DeliveryOutcome):
            return answer
        if not 200 <= answer.status < 300:
            return classify_answer(answer, hidden=[self._token])
        try:
            said = msgspec.json.decode(answer.body, type=dict[str, Any])
        except msgspec.DecodeError:
            return DeliveryOutcome(False, "the answer is not Slack's")
        if said.get("ok") is True:
            return DeliveryOutcome(True, "posted", memo=thread or str(said.get("ts", "")))
        reason = str(said.get("error", "no reason"))[:100]
        return DeliveryOutcome(False, f"Slack says {reason}", retry=reason in PASSING)


def make_message(delivery: Delivery) -> dict[str, Any]:
    """Return text and blocks; the text is what notifications and old clients show."""
    described = describe(delivery)
    mark = ":white_check_mark:" if delivery.event == "resolve" else MARKS.get(described["severity"], ":white_circle:")
    summary = f"{TITLES[delivery.event]}{described['summary']}"
    header = _cut(f"{described['severity'].upper()} {delivery.incident.cause}", MAX_HEADER)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}},
        _section(f"{mark} {escape(summary)}"),
    ]
    if delivery.event != "resolve":
        blocks += _advice(described)
    rows = [escape(member_line(one, described["shared_code"])) for one in described["members"][:MOST_SHOWN]]
    count = described["member_count"]
    if not rows:
        rows = [
            f"`{one['code']}` ({one['severity']}, {one['status']}): {escape(one['detail'])}"
            + (f" _{escape(one['silenced'])}_" if one["silenced"] else "")
            for one in described["findings"][:MOST_SHOWN]
        ]
        count = described["finding_count"]
    more = f"\nand {count - MOST_SHOWN} more" if count > MOST_SHOWN else ""
    blocks.append(_section("\n".join(f"• {row}" for row in rows) + more))
    people = [f"{one['id']} ({one['criticality']})" for one in described["identities"]]
    if people:
        blocks.append(_section(f"*Affects* {escape(some_of(people[:MOST_SHOWN]))}{_more(described['identity_count'])}"))
    context = [
        f"why now: {escape(described['reason'])}",
        f"`{described['commands'][0]}`",
        f"`{described['commands'][1]}`",
    ]
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(one, 1000)} for one in context]})
    if described["links"]:
        blocks.append(
            {
                "type": "actions",
                "elements": [
                    {
                        "type": "button",
                        "text": {"type": "plain_text", "text": LINKS[name]},
                        "url": url,
                        "action_id": name,
                    }
                    for name, url in described["links"].items()
                ],
            }
        )
    return {"text": escape(_cut(summary, MAX_TEXT)), "blocks": blocks[:MAX_BLOCKS], "unfurl_links": False}


def _advice(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    lines = [f"_For {escape(described['advice_for'])}:_"] if described["advice_for"] else []
    lines += [f"*It means* {_prose(described['means'])}"] if described["means"] else []
    lines += [f"*{escape(one['who'])}*: {_prose(one['what'])}" for one in described["who_does_what"]]
    lines += [f"*It is over*: {_prose(described['over_when'])}"] if described["over_when"] else []
    return [_section("\n".join(lines))] if lines else []


def escape(text: str) -> str:
    """Return a text in which nothing is markup: no link, no mention, no formatting."""
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, written)
    return text.translate(LOOK_ALIKES)


def _prose(text: str) -> str:
    """Return a runbook's sentence: its backticks are commands, and what is in it from DNS still no markup."""
    parts = text.split("`")
    return "`".join(map(escape, parts)) if len(parts) % 2 else escape(text)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, MAX_SECTION)}}


def _more(count: int) -> str:
    return f" and {count - MOST_SHOWN} more" if count > MOST_SHOWN else ""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
