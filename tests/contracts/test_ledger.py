"""What every ledger of the alerts promises, run over the file and over the topic."""

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

import anchorwatch.kafka.ledger
from alerts.decision.incidents import Entry, Incident, begin_incident, take_finding
from alerts.decision.silences import make_silence, silence_of
from alerts.delivery.delivery import Delivery, Settled
from alerts.ledger.ledger import Ledger
from alerts.ledger.overflow import OverflowLedger
from alerts.ledger.sqlite import LedgerWrite, SqliteLedger, Table
from anchorwatch.kafka.clients import open_consumer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.ledger import KafkaLedger
from anchorwatch.kafka.reading import read_to_end
from anchorwatch.kafka.topics import prepare_topics
from schemas.catalogue import Severity
from schemas.faults import Rejected, Transient
from schemas.messages import Notification, NotificationStatus
from schemas.wire import decode
from tests.support.broker import NEEDED, ApacheKafka, GivenKafka, WheelBroker
from tests.support.daemons import free_port, until
from tests.support.findings import AT, finding

Opener = Callable[[], Ledger]
_numbers = itertools.count()


def incident(zone: str = "bank.example.", minute: int = 0) -> Incident:
    found = finding(zone=zone, opened_at=AT + timedelta(minutes=minute))
    entry = Entry(finding=found, severity=Severity.CRITICAL, receivers=("soc",), controls=())
    return take_finding(begin_incident(found), entry)


def delivery(number: int, receiver: str = "soc") -> Delivery:
    about = incident()
    return Delivery(id=f"d{number}", receiver=receiver, event="trigger", reason="opened", incident=about, decided_at=AT)


def notification(number: int) -> Notification:
    return Notification(
        id=f"n{number}",
        incident=incident().id,
        event="trigger",
        status=NotificationStatus.SENT,
        receiver="soc",
        reason="opened",
        at=AT,
        severity=Severity.CRITICAL,
        summary="bank.example. is bogus",
        cause_zone="bank.example.",
        findings=(),
        controls=(),
    )


@pytest.fixture
def open_topic(kafka_address: str) -> Iterator[Callable[[], KafkaLedger]]:
    """What opens the ledger of one topic, again and again."""
    config = KafkaConfig(
        brokers=(kafka_address,), prefix=f"ledger-{next(_numbers)}-{free_port()}", partitions=1, session_timeout_s=6.0
    )
    prepare_topics(config, "test")
    opened: list[KafkaLedger] = []

    def open_one() -> KafkaLedger:
        opened.append(KafkaLedger(config, "test", "/alerts/test"))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture(params=["file", "overflow", "topic"])
def open_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """What opens one ledger, and opens it again as a process that starts would."""
    if request.param == "topic":
        opener: Opener = request.getfixturevalue("open_topic")
        return opener
    if request.param == "overflow":
        return lambda: OverflowLedger(tmp_path / "alerts.sqlite")
    return lambda: SqliteLedger(tmp_path / "alerts.sqlite")


def test_a_step_is_there_for_the_next_process(open_ledger: Opener) -> None:
    ledger = open_ledger()
    assert ledger.open_incidents() == []
    about, over = incident(), msgspec.structs.replace(incident("old.example."), ended_at=AT)
    ledger.commit(
        incidents=[about, over], handled=[("f1", 3)], deliveries=[delivery(1)], notifications=[notification(1)]
    )

    for reader in (ledger, open_ledger()):
        assert reader.open_incidents() == [about]
        assert reader.incidents(10) == [about, over]
        assert reader.handled_versions(["f1", "f2"]) == {"f1": 3}
        assert [one.id for one in reader.deliveries()] == ["d1"]
        assert reader.pending() == 1
        assert reader.notifications(10) == [notification(1)]


def test_silences_and_what_was_said_of_one_incident_are_there_for_the_next_process(open_ledger: Opener) -> None:
    ledger = open_ledger()
    ledger.deliveries()
    act = make_silence(["owner=payments"], AT, AT + timedelta(hours=2), by="ana", why="patches", at=AT, source="test")
    made = silence_of(act)
    about = incident()
    told = msgspec.structs.replace(notification(1), incident=about.id)
    ledger.commit(incidents=[about], silences=[made], notifications=[told])
    expired = msgspec.structs.replace(made, expired_at=AT, expired_by="bo")
    ledger.commit(silences=[expired])

    for reader in (ledger, open_ledger()):
        assert reader.silences() == [expired]
        assert reader.find_incidents(about.id[:4], 5) == [about]
        assert reader.incidents_on(about.cause, 5) == [about]
        assert reader.notifications_of(about.id) == [told]


def test_the_revision_moves_with_what_people_look_at(open_ledger: Opener) -> None:
    ledger = open_ledger()
    ledger.deliveries()
    made = silence_of(make_silence(["owner=payments"], AT, AT + timedelta(hours=2), by="a", why="b", at=AT, source="t"))
    seen = [ledger.revision()]
    ledger.commit(incidents=[incident()], handled=[("f1", 1)])
    seen.append(ledger.revision())
    ledger.commit(notifications=[notification(1)])
    seen.append(ledger.revision())
    ledger.commit(silences=[made])
    seen.append(ledger.revision())

    assert len(set(seen)) == 4
    assert ledger.revision() == seen[-1]


def test_what_changes_is_changed(open_ledger: Opener) -> None:
    ledger = open_ledger()
    ledger.deliveries()
    ledger.commit(incidents=[incident()], handled=[("f1", 1)])
    ended = msgspec.structs.replace(incident(), ended_at=AT)

    ledger.commit(incidents=[ended], handled=[("f1", 2)])

    for reader in (ledger, open_ledger()):
        assert reader.open_incidents() == []
        assert reader.incidents(10) == [ended]
        assert reader.handled_versions(["f1"]) == {"f1": 2}


def test_a_delivery_keeps_its_place_until_it_is_done(open_ledger: Opener) -> None:
    ledger = open_ledger()
    ledger.deliveries()
    ledger.commit(deliveries=[delivery(1), delivery(2), delivery(3, "backup")])
    (_, (first, _)) = ledger.due(0, 10)
    ledger.commit(deliveries=[delivery(4)], settled=[Settled(first, False, 60.0)])

    for reader in (ledger, open_ledger()):
        waiting = reader.deliveries()
        assert reader.waiting(["d1", "d4", "d5"]) == {"d1", "d4"}
        assert [(one.id, one.attempts, one.next_at) for one in waiting] == [
            ("d1", 1, 60.0),
            ("d2", 0, 0.0),
            ("d3", 0, 0.0),
            ("d4", 0, 0.0),
        ]
        assert [[one.id for one in due] for due in reader.due(0, 10)] == [["d3"]]
        assert [[one.id for one in due] for due in reader.due(60, 2)] == [["d3"], ["d1", "d2"]]
    reader.commit(settled=[Settled(waiting[0], True)])
    assert [one.id for one in open_ledger().deliveries()] == ["d2", "d3", "d4"]


def test_notifications_come_newest_first_and_one_that_arrives_late_is_two(open_ledger: Opener) -> None:
    ledger = open_ledger()
    ledger.deliveries()
    failed = msgspec.structs.replace(notification(1), status=NotificationStatus.FAILED, attempts=8)
    ledger.commit(notifications=[failed])
    ledger.commit(notifications=[notification(2), notification(1)])

    for reader in (ledger, open_ledger()):
        assert reader.notifications(10) == [notification(1), notification(2), failed]
        assert reader.notifications(1) == [notification(1)]


def test_a_process_that_stands_by_shows_what_the_active_one_writes(open_topic: Callable[[], KafkaLedger]) -> None:
    active, other = open_topic(), open_topic()
    active.deliveries()
    for number in range(3):
        active.commit(incidents=[incident(f"zone{number}.example.", number)], notifications=[notification(number)])
        until(lambda seen=number + 1: len(other.incidents(10)) == seen, "the incident is seen")  # type: ignore[misc]
        assert len(other.notifications(10)) == number + 1

    active.commit(handled=[("f", 1)])  # it was not hindered
    with pytest.raises(Transient):
        other.commit(handled=[("g", 1)])
    assert active.handled_versions(["g"]) == {}


def test_whoever_takes_over_sees_everything_and_the_one_before_can_write_no_more(
    open_topic: Callable[[], KafkaLedger],
) -> None:
    first, second = open_topic(), open_topic()
    first.deliveries()
    first.commit(deliveries=[delivery(1)])

    assert [one.id for one in second.deliveries()] == ["d1"]
    with pytest.raises(Transient, match="taken over by another process"):
        first.commit(deliveries=[delivery(2)])
    with pytest.raises(Transient, match="must be read again first"):
        first.commit(deliveries=[delivery(2)])
    second.commit(deliveries=[delivery(3)])
    assert [one.id for one in second.deliveries()] == ["d1", "d3"]

    assert [one.id for one in first.deliveries()] == ["d1", "d3"], "what it could not write is nowhere"
    first.commit(deliveries=[delivery(4)])
    with pytest.raises(Transient):
        second.commit(deliveries=[delivery(5)])


def test_a_step_that_was_cut_short_left_nothing_behind(
    broker: ApacheKafka | WheelBroker | GivenKafka, open_topic: Callable[[], KafkaLedger]
) -> None:
    if isinstance(broker, WheelBroker):
        pytest.skip(f"{broker.kind} shows what was never committed; {NEEDED}")
    killed, next_one = open_topic(), open_topic()
    killed.deliveries()
    killed.commit(deliveries=[delivery(1)])
    killed._writer.begin_transaction()
    sent = killed._writer.send(killed._topic, key=b"deliveries/d2", value=msgspec.json.encode(delivery(2)))
    sent.get(timeout=10)

    assert [one.id for one in next_one.deliveries()] == ["d1"]


def test_nothing_is_handed_out_by_a_process_that_was_relieved(
    open_topic: Callable[[], KafkaLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchorwatch.kafka.ledger, "PROOF_HOLDS_S", 0.0)
    relieved, active = open_topic(), open_topic()
    relieved.deliveries()
    relieved.commit(deliveries=[delivery(1)])
    assert [[one.id for one in due] for due in relieved.due(0, 10)] == [["d1"]]

    (waiting,) = active.deliveries()
    active.commit(settled=[Settled(waiting, True)])

    with pytest.raises(Transient, match="taken over by another process"):
        relieved.due(0, 10)
    assert relieved.pending() == 0


def test_who_takes_over_again_remembers_nothing_of_its_own(open_topic: Callable[[], KafkaLedger]) -> None:
    """Kafka forgets after a day that a row was dropped: what is not on the topic is not the case."""
    ledger = open_topic()
    ledger.deliveries()
    ledger._copy.apply([LedgerWrite(Table.DELIVERIES, "d1", delivery(1)), LedgerWrite(Table.HANDLED, "f1", 3)])

    ledger.forget()

    assert ledger.deliveries() == []
    assert ledger.handled_versions(["f1"]) == {}


def test_notifications_reach_their_topic_with_the_step_that_they_belong_to(
    open_topic: Callable[[], KafkaLedger],
) -> None:
    ledger = open_topic()
    ledger.deliveries()
    ledger.commit(notifications=[notification(1)])
    ledger.commit(incidents=[incident()])

    consumer = open_consumer(ledger._config, "test", group=None)
    (record,) = read_to_end(consumer, f"{ledger._config.prefix}.notifications")
    consumer.close()
    assert decode(record.value) == notification(1)
    assert record.key.decode() == incident().id
    assert dict(record.headers)["ce_type"] == b"io.anchorwatch.notification.v1"


def test_an_incident_that_is_too_large_is_refused_and_the_next_step_works(
    open_topic: Callable[[], KafkaLedger],
) -> None:
    ledger = open_topic()
    ledger.deliveries()
    huge = msgspec.structs.replace(incident(), withheld="x" * 11_000_000)

    with pytest.raises(Rejected, match="larger than topic"):
        ledger.commit(incidents=[huge])

    assert ledger.open_incidents() == []
    ledger.commit(incidents=[incident()])
    assert ledger.open_incidents() == [incident()]


def test_of_what_is_only_looked_back_at_the_newest_is_kept(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "alerts.sqlite")
    ended = [msgspec.structs.replace(incident(f"z{n}.example.", n), ended_at=AT) for n in range(4)]
    ledger.commit(
        incidents=[incident(), *ended],
        handled=[(f"f{n}", 1) for n in range(4)],
        notifications=[notification(n) for n in range(4)],
    )

    dropped = ledger.surplus({Table.INCIDENTS: 2, Table.HANDLED: 3, Table.NOTIFICATIONS: 1})
    ledger.apply(dropped)

    assert ledger.incidents(10) == [incident(), ended[3], ended[2]]
    assert ledger.handled_versions([f"f{n}" for n in range(4)]) == {"f1": 1, "f2": 1, "f3": 1}
    assert ledger.notifications(10) == [notification(3)]
