"""Every receiver against the real thing: an HTTP server on loopback, a process, a terminal."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from alerts.decision.incidents import Entry, begin_incident, take_finding
from alerts.delivery.delivery import Delivery
from alerts.delivery.wording import describe, printable, screen
from alerts.receivers.command import CommandNotifier
from alerts.receivers.console import ConsoleNotifier
from alerts.receivers.pagerduty import MAX_EVENT_BYTES, PagerDutyNotifier, make_events
from alerts.receivers.webhook import WebhookNotifier, read_secret, sign
from schemas.messages import Affected
from tests.support.findings import AT, HttpReceiver, closed, finding

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = AT.timestamp()


def delivery(event: str = "trigger", **changes: object) -> Delivery:
    opened = finding(**changes)  # type: ignore[arg-type]
    one = closed(opened) if event == "resolve" else opened
    entry = Entry(finding=one, severity=one.severity, receivers=("soc",))
    incident = take_finding(begin_incident(opened), entry)
    return Delivery(id="d" * 32, receiver="soc", event=event, reason="confirmed", incident=incident, decided_at=AT)  # type: ignore[arg-type]


class TestWebhook:
    def test_the_signature_is_that_of_the_reference_implementation(self) -> None:
        with HttpReceiver(204) as endpoint:
            outcome = WebhookNotifier(endpoint.url, SECRET).send(delivery(), NOW)
        headers, _ = endpoint.requests[0]

        assert outcome.delivered
        theirs = Webhook(SECRET).sign("d" * 32, AT, headers[":raw"])
        assert headers["webhook-signature"] == theirs
        assert headers["webhook-id"] == "d" * 32
        assert headers["webhook-timestamp"] == str(int(NOW))

    def test_the_published_vector_holds(self) -> None:
        body = b'{"test": 2432232314}'

        signature = sign(read_secret(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

        assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_the_body_says_what_where_and_who(self) -> None:
        with HttpReceiver(200) as endpoint:
            WebhookNotifier(endpoint.url, "").send(delivery("resolve"), NOW)
        headers, body = endpoint.requests[0]

        assert body["type"] == "incident.resolved"
        assert body["data"]["cause"] == "bank.example."
        assert body["data"]["identities"][0]["owner"] == "payments"
        assert "webhook-signature" not in headers

    @pytest.mark.parametrize(
        ("status", "retry"),
        [(400, False), (401, False), (404, False), (410, False), (429, True), (500, True), (503, True), (302, False)],
    )
    def test_answers_are_classed(self, status: int, retry: bool) -> None:
        with HttpReceiver(status, headers={"retry-after": "7"}) as endpoint:
            outcome = WebhookNotifier(endpoint.url, SECRET).send(delivery(), NOW)

        assert not outcome.delivered
        assert outcome.retry is retry
        assert outcome.retry_after_s == 7
        assert len(endpoint.requests) == 1

    def test_nobody_there_is_worth_another_try(self) -> None:
        with HttpReceiver(200) as endpoint:
            url = endpoint.url

        outcome = WebhookNotifier(url, SECRET).send(delivery(), NOW)

        assert (outcome.delivered, outcome.retry) == (False, True)

    @pytest.mark.parametrize("secret", ["", "secret", "whsec_", "whsec_AAAA", "whsec_" + "A" * 100])
    def test_a_bad_secret_is_refused(self, secret: str) -> None:
        with pytest.raises(ValueError, match=r"webhook secret|[Ii]ncorrect padding|base64"):
            read_secret(secret)

    def test_a_large_blast_radius_stays_below_twenty_kilobytes(self) -> None:
        crowd = tuple(Affected(id=f"sa-{i:05}", owner="o" * 20, hosts=("h.example",)) for i in range(5000))
        with HttpReceiver(200) as endpoint:
            WebhookNotifier(endpoint.url, "").send(delivery(identities=crowd), NOW)
        headers, body = endpoint.requests[0]

        assert len(headers[":raw"]) < 20_000
        assert body["data"]["identity_count"] == 5000


class TestPagerDuty:
    def test_trigger_and_resolve_share_one_key_over_restarts(self) -> None:
        with HttpReceiver(202) as endpoint:
            PagerDutyNotifier("R" * 32, endpoint.url).send(delivery(), NOW)
            PagerDutyNotifier("R" * 32, endpoint.url).send(delivery("resolve"), NOW)
        (_, trigger), (_, resolve) = endpoint.requests

        assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
        assert trigger["dedup_key"] == resolve["dedup_key"]
        assert len(trigger["dedup_key"]) <= 255
        assert trigger["routing_key"] == "R" * 32
        assert trigger["payload"]["severity"] == "critical"
        assert trigger["payload"]["source"] == "bank.example."
        assert set(resolve) == {"routing_key", "event_action", "dedup_key"}

    @pytest.mark.parametrize(
        ("status", "delivered", "retry"),
        [(202, True, True), (400, False, False), (429, False, True), (500, False, True)],
    )
    def test_answers_are_classed(self, status: int, delivered: bool, retry: bool) -> None:
        with HttpReceiver(status) as endpoint:
            outcome = PagerDutyNotifier("R" * 32, endpoint.url).send(delivery(), NOW)

        assert (outcome.delivered, outcome.retry) == (delivered, retry)

    def test_limits_are_kept(self) -> None:
        long = delivery(zone="x" * 60 + ".example.", detail="d" * 600_000)

        event = make_events(long, "R" * 32)[0]

        assert len(event) <= MAX_EVENT_BYTES
        assert len(json.loads(event)["payload"]["summary"]) <= 1024

    def test_a_later_incident_on_the_same_zone_has_another_key(self) -> None:
        later = delivery(opened_at=AT + timedelta(days=1))

        assert (
            json.loads(make_events(later, "")[0])["dedup_key"]
            != json.loads(make_events(delivery(), "")[0])["dedup_key"]
        )


class TestLocal:
    def test_a_command_gets_json_on_its_input(self, tmp_path: Path) -> None:
        out = tmp_path / "out.json"
        program = f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())"

        outcome = CommandNotifier([sys.executable, "-c", program]).send(delivery(), NOW)

        assert outcome.delivered
        assert json.loads(out.read_text())["cause"] == "bank.example."

    @pytest.mark.parametrize(("status", "retry"), [(1, True), (75, True)])
    def test_a_command_that_fails_is_tried_again(self, status: int, retry: bool) -> None:
        outcome = CommandNotifier([sys.executable, "-c", f"raise SystemExit({status})"]).send(delivery(), NOW)

        assert (outcome.delivered, outcome.retry) == (False, retry)

    def test_a_command_that_is_not_there_is_said(self) -> None:
        outcome = CommandNotifier(["/nonexistent/command"]).send(delivery(), NOW)

        assert (outcome.delivered, outcome.retry) == (False, False)

    def test_the_console_shows_it(self) -> None:
        lines: list[str] = []

        ConsoleNotifier(lines.append).send(delivery(), NOW)

        assert "bank.example" in lines[0]
        assert "sa-settlement" in lines[0]


def test_a_line_names_the_servers_at_fault() -> None:
    told = delivery(servers=("192.0.2.2", "192.0.2.3"))

    assert "    servers: 192.0.2.2, 192.0.2.3" in screen(told).splitlines()
    assert "servers:" not in screen(delivery())


HOSTILE = "\x1b[2Jevil\u202e\x00\x9b31m<script>"


def test_control_characters_never_reach_a_message() -> None:
    told = delivery(detail=HOSTILE, before=HOSTILE, after=HOSTILE, servers=(HOSTILE,))

    for text in (screen(told), json.dumps(describe(told), ensure_ascii=False)):
        assert not any(character in text for character in "\x1b\u202e\x00\x9b")
    assert printable("a\nb") == "a�b"
