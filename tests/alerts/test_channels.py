"""Receivers against servers that are strict: the limits that vendors document, and their ways of refusing."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from standardwebhooks import Webhook

from alerts.delivery.delivery import Delivery
from alerts.receivers.jsm import JsmNotifier, make_request
from alerts.receivers.mail import Mail, MailNotifier
from alerts.receivers.pagerduty import PagerDutyNotifier
from alerts.receivers.slack import SlackNotifier, make_message
from alerts.receivers.syslog import SyslogNotifier, make_line
from alerts.receivers.teams import TeamsNotifier, make_card
from alerts.receivers.webhook import WebhookNotifier, sign
from tests.support.certificates import Authority
from tests.support.daemons import free_port
from tests.support.findings import AT, finding
from tests.support.messages import deliveries, delivery_of, incident_of

NOW = (AT + timedelta(minutes=1)).timestamp()
SHOWN = deliveries()
HUGE = delivery_of(
    "trigger",
    incident_of(*(finding(zone="bank.example.", id=f"f{n}", detail="d" * 5_000) for n in range(60))),
    "r" * 5_000,
)
ALL = {**SHOWN, "huge": HUGE}


class Server:
    """A strict HTTP server: ``judge`` gets path, headers and body, and returns status, headers and answer."""

    def __init__(self, judge: Callable[[str, dict[str, str], Any], tuple[int, dict[str, str], bytes]]) -> None:
        self.taken: list[tuple[str, dict[str, str], Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                headers = {key.lower(): value for key, value in self.headers.items()}
                body = {"raw": raw, "json": json.loads(raw)}
                status, more, answer = judge(self.path, headers, body)
                if 200 <= status < 300:
                    server.taken.append((self.path, headers, body["json"]))
                self.send_response(status)
                for key, value in {**more, "content-length": str(len(answer))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


# Slack


def slack_refuses(message: dict[str, Any]) -> str:
    """Why Slack would refuse a message. Source: Block Kit reference, and the limits of chat.postMessage."""
    if not message.get("text"):
        return "no_text"
    if len(message["text"]) > 4_000:
        return "msg_too_long"
    if len(message["blocks"]) > 50:
        return "invalid_blocks"
    for block in message["blocks"]:
        match block["type"]:
            case "header":
                bad = block["text"]["type"] != "plain_text" or not 1 <= len(block["text"]["text"]) <= 150
            case "section":
                bad = not 1 <= len(block["text"]["text"]) <= 3_000
            case "context":
                bad = not 1 <= len(block["elements"]) <= 10
            case "actions":
                bad = not 1 <= len(block["elements"]) <= 25 or any(
                    len(one["text"]["text"]) > 75 or len(one["url"]) > 3_000 for one in block["elements"]
                )
            case _:
                bad = True
        if bad:
            return "invalid_blocks"
    return ""


def slack_webhook(path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
    if path != "/services/T/B/X":
        return 404, {}, b"no_service"
    reason = slack_refuses(body["json"])
    return (400, {}, reason.encode()) if reason else (200, {}, b"ok")


def slack_api(path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
    message = body["json"]
    if path != "/api/chat.postMessage" or not headers["content-type"].startswith("application/json"):
        return 404, {}, b"{}"
    if headers.get("authorization") != "Bearer xoxb-good":
        return 200, {}, b'{"ok":false,"error":"invalid_auth"}'
    if message.get("channel") != "C1":
        return 200, {}, b'{"ok":false,"error":"channel_not_found"}'
    if "reply_broadcast" in message and "thread_ts" not in message:
        return 200, {}, b'{"ok":false,"error":"invalid_arguments"}'
    if reason := slack_refuses(message):
        return 200, {}, json.dumps({"ok": False, "error": reason}).encode()
    return 200, {}, b'{"ok":true,"ts":"1700000000.000100","channel":"C1"}'


class TestSlack:
    @pytest.mark.parametrize("name", ALL)
    def test_every_message_is_taken_by_webhook_and_by_token(self, name: str) -> None:
        with Server(slack_webhook) as hook, Server(slack_api) as api:
            by_hook = SlackNotifier(webhook=f"{hook.url}/services/T/B/X").send(ALL[name], NOW)
            by_token = SlackNotifier(token="xoxb-good", channel="C1", api=f"{api.url}/api").send(ALL[name], NOW)

        assert by_hook.delivered, by_hook.detail
        assert (by_token.delivered, by_token.memo) == (True, "1700000000.000100"), by_token.detail

    def test_further_messages_of_an_incident_go_into_its_thread_and_its_end_into_the_channel_too(self) -> None:
        def threaded(name: str) -> Delivery:
            one = SHOWN[name]
            incident = msgspec.structs.replace(one.incident, memos={"soc": "1700000000.000100"})
            return msgspec.structs.replace(one, incident=incident)

        with Server(slack_api) as api:
            notifier = SlackNotifier(token="xoxb-good", channel="C1", api=f"{api.url}/api")
            for name in ("acknowledged", "resolved", "alias"):
                assert notifier.send(threaded(name), NOW).memo == "1700000000.000100"

        assert [body["thread_ts"] for _, _, body in api.taken] == ["1700000000.000100"] * 3
        assert [body["reply_broadcast"] for _, _, body in api.taken] == [False, True, True]

    @pytest.mark.parametrize(
        ("token", "channel", "retry", "why"),
        [("xoxb-bad", "C1", False, "invalid_auth"), ("xoxb-good", "C9", False, "channel_not_found")],
    )
    def test_a_no_within_a_200_is_a_refusal_and_shows_no_token(
        self, token: str, channel: str, retry: bool, why: str
    ) -> None:
        with Server(slack_api) as api:
            outcome = SlackNotifier(token=token, channel=channel, api=f"{api.url}/api").send(SHOWN["page"], NOW)

        assert (outcome.delivered, outcome.retry) == (False, retry)
        assert why in outcome.detail
        assert token not in outcome.detail

    def test_too_fast_is_tried_again_when_slack_says(self) -> None:
        def slow(path: str, headers: Any, body: Any) -> tuple[int, dict[str, str], bytes]:
            return 429, {"retry-after": "30"}, b'{"ok":false,"error":"ratelimited"}'

        with Server(slow) as api:
            outcome = SlackNotifier(token="xoxb-good", channel="C1", api=f"{api.url}/api").send(SHOWN["page"], NOW)

        assert (outcome.delivered, outcome.retry, outcome.retry_after_s) == (False, True, 30.0)

    def test_a_webhook_that_is_gone_is_a_refusal(self) -> None:
        with Server(slack_webhook) as hook:
            outcome = SlackNotifier(webhook=f"{hook.url}/services/T/B/OLD").send(SHOWN["page"], NOW)

        assert (outcome.delivered, outcome.retry) == (False, False)
        assert "/services/T/B/OLD" not in outcome.detail

    def test_the_server_of_this_test_would_refuse_what_is_too_long(self) -> None:
        message = make_message(SHOWN["page"])
        message["blocks"][0]["text"]["text"] = "x" * 151

        assert slack_refuses(message) == "invalid_blocks"


# PagerDuty


class PagerDutyService:
    """Alerts as PagerDuty has them: deduplicated by routing key and dedup_key while open."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, str], str] = {}
        self.rung: list[str] = []

    def __call__(self, path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
        event = body["json"]
        problems = []
        if len(body["raw"]) > 512_000 or path != "/v2/enqueue":
            return 413, {}, b"{}"
        if not re.fullmatch(r"[A-Z]{32}", event.get("routing_key", "")):
            problems.append("routing_key")
        if len(event.get("dedup_key", "")) > 255:
            problems.append("dedup_key")
        key = (event["routing_key"], event["dedup_key"])
        if event["event_action"] == "trigger":
            payload = event["payload"]
            if not 1 <= len(payload["summary"]) <= 1024 or not payload["source"]:
                problems.append("summary")
            if payload["severity"] not in ("critical", "error", "warning", "info"):
                problems.append("severity")
            if any(not one["href"].startswith("https://") for one in event.get("links", ())):
                problems.append("links")
            if not problems and key not in self.open:
                self.rung.append(event["dedup_key"])
                self.open[key] = "triggered"
        elif event["event_action"] == "resolve":
            self.open.pop(key, None)
        elif key in self.open:
            self.open[key] = "acknowledged"
        if problems:
            return 400, {}, json.dumps({"status": "invalid event", "errors": problems}).encode()
        return 202, {}, b'{"status":"success"}'


class TestPagerDuty:
    @pytest.mark.parametrize("name", ALL)
    def test_every_message_is_taken(self, name: str) -> None:
        with Server(PagerDutyService()) as server:
            outcome = PagerDutyNotifier("R" * 32, f"{server.url}/v2/enqueue").send(ALL[name], NOW)

        assert outcome.delivered, outcome.detail

    def test_what_makes_things_worse_rings_again_and_the_end_closes_both(self) -> None:
        service, page = PagerDutyService(), SHOWN["page"]
        worse = msgspec.structs.replace(page.incident, rings={"soc": 1})
        with Server(service) as server:
            notifier = PagerDutyNotifier("R" * 32, f"{server.url}/v2/enqueue")
            notifier.send(page, NOW)
            notifier.send(msgspec.structs.replace(page, event="update"), NOW)
            assert len(service.rung) == 1, "a plain update rings nobody"
            notifier.send(msgspec.structs.replace(page, event="update", incident=worse, rings=True), NOW)
            assert len(service.rung) == 2
            notifier.send(msgspec.structs.replace(page, event="acknowledge", incident=worse), NOW)
            assert set(service.open.values()) == {"acknowledged"}
            notifier.send(msgspec.structs.replace(page, event="resolve", incident=worse), NOW)

        assert service.open == {}

    def test_the_key_that_opened_is_among_those_that_close_though_the_key_was_changed(self) -> None:
        service, page = PagerDutyService(), SHOWN["page"]
        with Server(service) as server:
            PagerDutyNotifier("A" * 32, f"{server.url}/v2/enqueue").send(page, NOW)
            after = PagerDutyNotifier(f"{'B' * 32}\n{'A' * 32}\n", f"{server.url}/v2/enqueue")
            after.send(msgspec.structs.replace(page, event="resolve"), NOW)

        assert service.open == {}

    def test_the_page_has_links(self) -> None:
        with Server(PagerDutyService()) as server:
            PagerDutyNotifier("R" * 32, f"{server.url}/v2/enqueue").send(SHOWN["page"], NOW)
        ((_, _, event),) = server.taken

        assert event["client_url"] == f"https://watch.corp.example/incidents/{SHOWN['page'].incident.id}"
        assert [one["text"] for one in event["links"]] == ["Incident", "What to do", "Evidence"]


# Jira Service Management


def jsm(path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
    """Source: the limits of Opsgenie's "Create Alert"."""
    alert = body["json"]
    if headers.get("authorization") != "GenieKey k3y":
        return 401, {}, b'{"message":"Could not authenticate"}'
    if path != "/v2/alerts":
        known = re.fullmatch(r"/v2/alerts/aw%3A[0-9a-f]{32}/(close|acknowledge|notes)\?identifierType=alias", path)
        good = known and 1 <= len(alert["note"]) <= 25_000
        return (202, {}, b'{"requestId":"1"}') if good else (422, {}, b'{"message":"bad"}')
    good = (
        1 <= len(alert["message"]) <= 130
        and len(alert["alias"]) <= 512
        and len(alert["description"]) <= 15_000
        and len(alert["entity"]) <= 512
        and len(alert["tags"]) <= 20
        and all(len(tag) <= 50 for tag in alert["tags"])
        and alert["priority"] in ("P1", "P2", "P3", "P4", "P5")
        and all(isinstance(value, str) for value in alert["details"].values())
        and sum(map(len, alert["details"].values())) <= 8_000
    )
    return (202, {}, b'{"requestId":"1"}') if good else (422, {}, b'{"message":"bad"}')


class TestJsm:
    @pytest.mark.parametrize("name", ALL)
    def test_every_message_is_taken(self, name: str) -> None:
        with Server(jsm) as server:
            outcome = JsmNotifier(f"{server.url}/v2/alerts", "k3y").send(ALL[name], NOW)

        assert outcome.delivered, outcome.detail

    def test_an_incident_is_one_alert_from_its_opening_to_its_close(self) -> None:
        page = SHOWN["page"]
        paths = [
            make_request(msgspec.structs.replace(page, event=event))[0].rpartition("/")[2].partition("?")[0]
            for event in ("trigger", "update", "reminder", "acknowledge", "resolve")
        ]

        assert paths == ["", "notes", "notes", "acknowledge", "close"]

    def test_a_wrong_key_is_a_refusal(self) -> None:
        with Server(jsm) as server:
            outcome = JsmNotifier(f"{server.url}/v2/alerts", "wr0ng").send(SHOWN["page"], NOW)

        assert (outcome.delivered, outcome.retry) == (False, False)


# Teams


@pytest.mark.parametrize("name", ALL)
def test_every_message_is_a_card_that_teams_takes(name: str) -> None:
    def teams(path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
        (attachment,) = body["json"]["attachments"]
        card = attachment["content"]
        good = (
            len(body["raw"]) <= 28 * 1024
            and body["json"]["type"] == "message"
            and attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
            and (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
            and all(one["type"] == "TextBlock" and one["text"] for one in card["body"])
        )
        return (202, {}, b"") if good else (400, {}, b"TriggerInputSchemaMismatch")

    with Server(teams) as server:
        outcome = TeamsNotifier(f"{server.url}/workflows/x?sig=s3cret").send(ALL[name], NOW)

    assert outcome.delivered, outcome.detail
    assert make_card(ALL[name]).count(b"TextBlock") > 1


# Standard Webhooks


def test_while_a_secret_is_rotated_either_signature_fits() -> None:
    old, new = "whsec_" + "A" * 32, "whsec_" + "B" * 32
    now = int(time.time())
    with Server(lambda path, headers, body: (204, {}, b"")) as server:
        WebhookNotifier(f"{server.url}/x", f"{new}\n{old}\n").send(SHOWN["page"], now)
    ((_, headers, body),) = server.taken

    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (old, new):
        Webhook(secret).verify(msgspec.json.encode(body), headers)
    with pytest.raises(Exception, match="signature"):
        Webhook("whsec_" + "C" * 32).verify(msgspec.json.encode(body), headers)
    assert sign(b"x" * 24, "a", 1, b"") != sign(b"y" * 24, "a", 1, b"")


# Syslog


LINE = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) anchorwatch - (\w+) "
    rb'\[anchorwatch@32473((?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")+)\] \xef\xbb\xbf(.*)',
    re.DOTALL,
)


class TestSyslog:
    def test_a_line_is_as_the_standard_has_it_and_escapes_what_dns_says(self) -> None:
        hostile = delivery_of("trigger", incident_of(finding(zone='x"]\\.example.')), "confirmed")
        match = LINE.fullmatch(make_line(hostile, NOW, "watch 1", 8_000))

        assert match is not None
        assert int(match[1]) == 13 * 8 + 2
        assert rb'cause="x\"\]\\.example."' in match[5]

    def test_a_long_line_is_cut_between_two_signs(self) -> None:
        cut = make_line(HUGE, NOW, "w", 300)

        assert len(cut) <= 300
        cut.decode("utf-8")

    def test_it_arrives_over_udp(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.settimeout(5)
            outcome = SyslogNotifier(f"udp://127.0.0.1:{server.getsockname()[1]}", hostname="w").send(
                SHOWN["page"], NOW
            )
            received = server.recv(65_536)

        assert outcome.delivered
        assert LINE.fullmatch(received)

    def test_it_arrives_over_tcp_with_its_octets_counted(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            taken: list[bytes] = []

            def accept() -> None:
                connection, _ = server.accept()
                with connection:
                    while chunk := connection.recv(65_536):
                        taken.append(chunk)

            thread = threading.Thread(target=accept, daemon=True)
            thread.start()
            outcome = SyslogNotifier(f"tcp://127.0.0.1:{server.getsockname()[1]}", hostname="w").send(
                SHOWN["page"], NOW
            )
            thread.join(5)
        count, _, line = b"".join(taken).partition(b" ")

        assert outcome.delivered
        assert int(count) == len(line)
        assert LINE.fullmatch(line)

    def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

        outcome = SyslogNotifier(f"tcp://127.0.0.1:{port}").send(SHOWN["page"], NOW)
        assert (outcome.delivered, outcome.retry) == (False, True)


# Mail, to a real SMTP server


class Mailbox:
    """What a mail server was handed."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.answer = "250 taken"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("gone@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.answer


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(mailbox: Mailbox, authority: Authority) -> Iterator[Controller]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate, key = authority.certify("localhost")
    context.load_cert_chain(certificate, key)

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"watch", b"s3cret")
        return AuthResult(success=good, handled=False)

    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    controller.start()
    yield controller
    controller.stop()


def mail(controller: Controller, authority: Authority, **changes: Any) -> MailNotifier:
    fields: dict[str, Any] = {
        "name": "soc",
        "host": "localhost",
        "port": controller.port,
        "sender": "Anchorwatch <watch@corp.example>",
        "to": ("soc@corp.example",),
        "user": "watch",
        "password": "s3cret",
        "ca_file": authority.path,
        **changes,
    }
    return MailNotifier(Mail(**fields), deadline_s=5)


class TestMail:
    def test_the_messages_of_an_incident_arrive_over_tls_in_one_thread(
        self, server: Controller, mailbox: Mailbox, authority: Authority
    ) -> None:
        notifier = mail(server, authority)
        for name in ("page", "acknowledged"):
            outcome = notifier.send(SHOWN[name], NOW)
            assert outcome.delivered, outcome.detail
        first, second = mailbox.messages

        assert first["subject"].startswith("[critical] bank.example: every signature is past its expiration")
        assert first["in-reply-to"] == second["in-reply-to"]
        assert first["auto-submitted"] == "auto-generated"
        plain, page = first.get_body(("plain",)), first.get_body(("html",))
        assert plain is not None
        assert page is not None
        assert "sa-settlement" in plain.get_content()
        assert "<b>the zone&#x27;s signer</b>" in page.get_content()

    @pytest.mark.parametrize(
        ("changes", "retry", "why"),
        [
            ({"password": "wrong"}, False, "SMTP 535"),
            ({"to": ("gone@corp.example",)}, False, "no recipient is accepted: gone@corp.example: 550"),
            ({"ca_file": ""}, False, "TLS: "),
            ({"port": 1}, True, "no answer"),
        ],
        ids=["password", "recipient", "certificate", "nobody"],
    )
    def test_refusals_are_told_from_what_may_pass(
        self, server: Controller, authority: Authority, changes: dict[str, Any], retry: bool, why: str
    ) -> None:
        outcome = mail(server, authority, **changes).send(SHOWN["page"], NOW)

        assert (outcome.delivered, outcome.retry) == (False, retry), outcome.detail
        assert why in outcome.detail

    @pytest.mark.parametrize(("answer", "retry"), [("451 later", True), ("554 never", False)])
    def test_an_answer_of_4_passes_and_one_of_5_does_not(
        self, server: Controller, mailbox: Mailbox, authority: Authority, answer: str, retry: bool
    ) -> None:
        mailbox.answer = answer
        outcome = mail(server, authority).send(SHOWN["page"], NOW)

        assert (outcome.delivered, outcome.retry) == (False, retry)

    def test_one_of_several_recipients_is_enough_and_the_other_is_said(
        self, server: Controller, authority: Authority
    ) -> None:
        outcome = mail(server, authority, to=("soc@corp.example", "gone@corp.example")).send(SHOWN["page"], NOW)

        assert outcome.delivered
        assert "not for gone@corp.example" in outcome.detail

    def test_a_server_without_starttls_gets_nothing_in_the_clear(self, mailbox: Mailbox, authority: Authority) -> None:
        plain = Controller(mailbox, hostname="127.0.0.1", port=free_port())
        plain.start()
        try:
            outcome = mail(plain, authority).send(SHOWN["page"], NOW)
        finally:
            plain.stop()

        assert (outcome.delivered, outcome.retry) == (False, False)
        assert mailbox.messages == []

    def test_what_dns_says_makes_no_header(self, server: Controller, mailbox: Mailbox, authority: Authority) -> None:
        hostile = delivery_of("trigger", incident_of(finding(zone="x.\r\nBcc: eve@evil.example\r\n.")), "confirmed")
        assert mail(server, authority).send(hostile, NOW).delivered

        assert mailbox.messages[0]["bcc"] is None
