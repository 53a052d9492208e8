"""Digests of owners: one a period, through the outbox, in words of their own; never near a page."""

import base64
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from standardwebhooks import Webhook as Verifier

from alerts.config import DigestPlan
from alerts.decision.letters import make_letters, period_of
from alerts.decision.order import Letter
from alerts.decision.schedule import Recurring
from alerts.decision.timekeeping import Moment
from alerts.delivery.delivery import Delivery, DeliveryOutcome, delivery_of
from alerts.receivers.mail import Mail, make_letter
from alerts.receivers.webhook import Webhook, WebhookNotifier
from alerts.stage import Alerts
from tests.alerts.test_channels import Server
from tests.support.clock import ManualClock
from tests.support.desk import Desk, Recorder

MONDAYS = Recurring(days=(0,), clock=clock_time(8), zone=ZoneInfo("Europe/Berlin"))
MONDAY = datetime(2026, 11, 30, 7, tzinfo=UTC)
"""08:00 in Berlin."""
PLAN = DigestPlan(schedule=MONDAYS, receiver="desk", owners={"payments": "payments-mail"})
LETTERS = {owner: Letter(subject=f"{owner}: 14 accounts", text="words", owner=owner) for owner in ("payments", "ops")}


class Postbox(Recorder):
    """A receiver that keeps letters."""

    def __init__(self, *outcomes: DeliveryOutcome) -> None:
        super().__init__(*outcomes)
        self.letters: list[Letter] = []

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        if delivery.letter is None:
            return super().send(delivery, now)
        self.ids.append(delivery.id)
        if self.outcomes and not (outcome := self.outcomes.pop(0)).delivered:
            return outcome
        self.letters.append(delivery.letter)
        return DeliveryOutcome(True, "fine")


class Written:
    """Letters that take a few questions to write."""

    def __init__(self, after: int = 0) -> None:
        self.after = after
        self.asked: list[tuple[datetime, datetime]] = []

    def ask(self, since: datetime, until: datetime) -> Mapping[str, Letter] | None:
        self.asked.append((since, until))
        return LETTERS if len(self.asked) > self.after else None


class Room(Desk):
    """A desk that sends digests, too."""

    def __init__(self, folder: Path, at: datetime, *outcomes: DeliveryOutcome, after: int = 0) -> None:
        self.desk, self.payments, self.written = Postbox(*outcomes), Postbox(), Written(after)
        super().__init__(folder, ManualClock(at), digests=PLAN)

    def staffed(self, receivers: Mapping[str, Any]) -> Alerts:
        everyone = {**receivers, "desk": self.desk, "payments-mail": self.payments}
        return Alerts(
            self.config, self.ledger, everyone, self.clock, patience_s=20.0, last_resort=self.shouted.append,
            letters=self.written,
        )  # fmt: skip


def test_each_owner_is_told_once_through_its_receiver_over_the_week_before(tmp_path: Path) -> None:
    room = Room(tmp_path, MONDAY - timedelta(minutes=1))
    room.do()
    assert room.written.asked == []

    for _ in range(20):
        room.clock.advance(900)
        room.do()

    assert [one.owner for one in room.payments.letters] == ["payments"]
    assert [one.owner for one in room.desk.letters] == ["ops"]
    assert room.written.asked == [(MONDAY - timedelta(days=7), MONDAY)]
    assert room.ledger.pending() == 0


def test_it_is_one_a_period_over_restarts_processes_and_clocks_that_are_set(tmp_path: Path) -> None:
    room = Room(tmp_path, MONDAY)
    for step in (0, 3600, -1800, 3600, -7200, 7200):
        room.clock.advance(step)
        room.restart()
        room.do()
        room.do()

    assert len(room.desk.letters) == len(room.payments.letters) == 1
    room.clock.advance(7 * 86_400)
    room.do()
    room.do()
    assert len(room.desk.letters) == 2


def test_what_is_not_yet_written_is_asked_for_again_and_sent_then(tmp_path: Path) -> None:
    room = Room(tmp_path, MONDAY, after=3)
    for _ in range(5):
        room.do()

    assert len(room.written.asked) == 4
    assert len(room.desk.letters) == 1


def test_what_is_not_taken_comes_again_under_its_id_and_pages_nobody(tmp_path: Path) -> None:
    room = Room(tmp_path, MONDAY, DeliveryOutcome(False, "HTTP 403", retry=False))
    said = room.do() + room.do()
    room.clock.advance(60)
    room.restart()
    said += room.do()

    assert [one.owner for one in room.desk.letters] == ["ops"]
    assert len(set(room.desk.ids)) == 1
    assert room.shouted == []
    assert [event for event, _ in room.pager.told] == ["trigger", "resolve"], "only that the receiver failed"
    digests = [one for one in said if one.event == "digest" and one.receiver == "desk"]
    assert [(one.status, one.summary) for one in digests] == [
        ("failed", "ops: 14 accounts"),
        ("sent", "ops: 14 accounts"),
    ]


def test_an_owner_for_whom_nobody_is_told_gets_none() -> None:
    plan = msgspec.structs.replace(PLAN, receiver="")
    at = Moment(MONDAY, MONDAY)
    period = period_of(plan, at)
    assert period is not None

    assert [one.receiver for one in make_letters(plan, LETTERS, period[0], at)] == ["payments-mail"]


def letter(text: str = "payments: 14 accounts\nThey rest on names.") -> Delivery:
    at = Moment(MONDAY, MONDAY)
    (order,) = make_letters(PLAN, {"payments": Letter(subject="payments:\n14 accounts", text=text)}, "p", at)
    return delivery_of(order)


def test_a_digest_by_mail_is_a_message_of_its_own_that_nobody_answers() -> None:
    message = make_letter(letter(), "Anchorwatch <watch@corp.example>", ("payments@corp.example",))

    assert message["Subject"] == "payments: 14 accounts"
    assert (message["Auto-Submitted"], message["References"]) == ("auto-generated", None)
    assert message["Message-ID"] == f"<{letter().id}@corp.example>"
    assert message.get_content() == "payments: 14 accounts\nThey rest on names.\n"


def test_a_digest_by_webhook_is_signed() -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    seen: list[Any] = []

    def take(path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
        seen.append(Verifier(secret).verify(body["raw"], headers))
        return 200, {}, b""

    with Server(take) as server:
        assert WebhookNotifier(server.url, secret).send(letter(), time.time()).delivered

    assert seen[0]["type"] == "digest"
    assert seen[0]["data"]["text"].startswith("payments: 14 accounts")


@pytest.mark.parametrize("body", ["alertmanager", "ocsf"])
def test_other_bodies_take_no_digest(body: Any) -> None:
    assert not Webhook(name="a", url="https://h.example", body=body).takes_letters
    assert Webhook(name="a", url="https://h.example").takes_letters
    assert Mail(name="a").takes_letters
