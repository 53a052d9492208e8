"""What every bus promises, run over each implementation."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anchorwatch.kafka.source import MOST_HELD
from anchorwatch.pipeline.local_bus import Unreadable
from schemas.faults import Transient
from schemas.messages import Message, SelfReport
from schemas.wire import encode
from tests.support.buses import KafkaBench, LocalBench
from tests.support.daemons import free_port

AT = datetime(2026, 11, 24, tzinfo=UTC)
Bench = LocalBench | KafkaBench


def message(number: int) -> SelfReport:
    at = AT + timedelta(seconds=number)
    return SelfReport(code="self_inventory_stale", subject="inventory.yaml", at=at, detail=str(number))


def run(bench: Bench, story: Callable[[Any], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        bus = await asyncio.to_thread(bench.bus)
        try:
            return await asyncio.wait_for(story(bus), 60)
        finally:
            if isinstance(bench, KafkaBench):
                await bench.close()

    return asyncio.run(bounded())


async def next_batch(bus: Any) -> list[Message | Unreadable]:
    """Return the next batch that is not empty."""
    while not (batch := await bus.batch()):
        assert batch is not None, "the bus is closed"
    return list(batch)


async def read_all(bus: Any) -> list[Message]:
    """Return all messages; what is none becomes a dead letter, as the pump does it."""
    found: list[Message] = []
    while (batch := await bus.batch()) is not None:
        for one in batch:
            if isinstance(one, Unreadable):
                await bus.keep_dead_letter(one, one.reason)
            else:
                found.append(one)
        await bus.commit()
    return found


def test_messages_arrive_once_and_in_order(bench: Bench) -> None:
    async def story(bus: Any) -> list[Message]:
        await bus.send([message(n) for n in range(9)])
        await bus.close()
        return await read_all(bus)

    assert run(bench, story) == [message(n) for n in range(9)]


def test_what_is_not_committed_comes_again(bench: Bench) -> None:
    async def story(bus: Any) -> None:
        await bus.send([message(1), message(2)])
        first = await next_batch(bus)
        assert await bus.batch() == first
        await bus.commit()
        assert await bus.batch() == [message(2)][len(first) - 1 :]

    run(bench, story)


def test_a_quiet_spell_is_an_empty_batch_and_the_end_is_none(bench: Bench) -> None:
    async def story(bus: Any) -> None:
        assert await bus.batch() == []
        await bus.close()
        assert await bus.batch() is None

    run(bench, story)


def test_a_closed_bus_is_drained_first(bench: Bench) -> None:
    async def story(bus: Any) -> None:
        await bus.send([message(1)])
        await bus.close()
        assert await next_batch(bus) == [message(1)]
        await bus.commit()
        assert await bus.batch() is None

    run(bench, story)


def test_a_message_put_aside_is_kept_with_its_reason_and_its_octets(bench: Bench) -> None:
    async def story(bus: Any) -> None:
        await bus.send([message(1), message(2)])
        await bus.close()
        first = await next_batch(bus)
        await bus.keep_dead_letter(first[0], "no use for it")
        await bus.commit()
        await read_all(bus)

    run(bench, story)

    (letter,) = bench.letters()
    assert letter.reason == "no use for it"
    assert letter.value == encode(message(1))
    assert letter.origin


def test_a_full_bus_inside_the_process_makes_the_sender_wait(tmp_path: Path) -> None:
    async def story(bus: Any) -> None:
        await bus.send([message(n) for n in range(10)])
        waiting = asyncio.create_task(bus.send([message(10)]))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
        await bus.batch()
        await bus.commit()
        await asyncio.wait_for(waiting, 1)

    run(LocalBench(tmp_path), story)


@pytest.fixture
def kafka_bench(kafka_address: str) -> KafkaBench:
    return KafkaBench(kafka_address)


def test_what_another_process_committed_does_not_come_again(kafka_bench: KafkaBench) -> None:
    async def story(bus: Any) -> list[Message | Unreadable]:
        await bus.send([message(1)])
        await next_batch(bus)
        await bus.commit()
        await bus.send([message(2)])
        again = await bus.reopened()
        try:
            return await next_batch(again)
        finally:
            await again.leave()

    assert run(kafka_bench, story) == [message(2)]


def test_what_a_process_left_uncommitted_comes_to_the_next(kafka_bench: KafkaBench) -> None:
    async def story(bus: Any) -> None:
        await bus.send([message(1)])
        assert await next_batch(bus) == [message(1)]
        again = await bus.reopened()
        assert await next_batch(again) == [message(1)]
        await again.leave()

    run(kafka_bench, story)


@pytest.mark.slow
def test_a_second_reader_stands_by_until_the_first_leaves(kafka_bench: KafkaBench) -> None:
    async def story(bus: Any) -> None:
        await bus.send([message(1)])
        await next_batch(bus)
        await bus.commit()
        second = type(bus)(bus.config)
        waiting = asyncio.create_task(second.batch())
        for _ in range(3):
            assert await bus.batch() == []
        assert not waiting.done(), "it stands by"
        assert (bus.gained, second.gained) == (1, 0)
        await bus.send([message(2)])
        await bus.leave()
        first = await waiting
        assert (first or await next_batch(second)) == [message(2)]
        assert second.gained == 1
        await second.leave()

    run(kafka_bench, story)


@pytest.mark.slow
def test_a_batch_that_takes_long_is_ours_until_the_group_shares_out_anew(kafka_bench: KafkaBench) -> None:
    async def story(bus: Any) -> None:
        await bus.send([message(1)])
        first = await next_batch(bus)
        await bus.send([message(2)])
        for _ in range(3):
            assert await bus.source().is_ours()
        assert await bus.batch() == first, "nothing else was taken in meanwhile"
        second = type(bus)(bus.config)
        waiting = asyncio.create_task(second.batch())
        while await bus.source().is_ours():
            await asyncio.sleep(0.1)
        again = await next_batch(bus)
        assert again[:1] == first, "what was not committed comes again"
        assert bus.gained >= 2, "what the stage made of it is forgotten"
        await bus.commit()
        assert not waiting.done(), "the other stands by"
        await bus.leave()
        await waiting
        await second.leave()

    run(kafka_bench, story)


@pytest.mark.slow
def test_while_a_batch_is_tried_again_for_long_most_of_the_topic_stays_at_the_broker(
    kafka_bench: KafkaBench,
) -> None:
    async def story(bus: Any) -> int:
        await bus.send([message(0)])
        await next_batch(bus)
        for _ in range(8):
            await bus.send([message(n) for n in range(1_000)])
            for _ in range(20):
                assert await bus.source().is_ours()
                await asyncio.sleep(0.01)
        held: int = bus.source()._backlog.count(f"{bus.config.prefix}.observations")
        return held

    assert run(kafka_bench, story) <= MOST_HELD + 1_000


def test_what_can_not_be_read_is_put_aside_with_its_place_and_its_neighbours_pass(kafka_bench: KafkaBench) -> None:
    async def story(bus: Any) -> list[Message]:
        await bus.send([message(1)])
        topic = f"{bus.config.prefix}.observations"
        for value in (b"{not json", b'{"type":"observation.v9"}', b"\xff\xfe"):
            bus._sink._producer.send(topic, value=value, key=b"k", headers=[("ce_id", b"7")]).get(timeout=10)
        await bus.send([message(2)])
        await bus.close()
        return await read_all(bus)

    assert run(kafka_bench, story) == [message(1), message(2)]

    letters = kafka_bench.letters()
    assert [(letter.value, letter.offset) for letter in letters] == [
        (b"{not json", 1),
        (b'{"type":"observation.v9"}', 2),
        (b"\xff\xfe", 3),
    ]
    assert all(letter.topic == "observations" and letter.key == b"k" for letter in letters)
    assert letters[0].headers == (("ce_id", b"7"),)
    assert all("not a message of ours" in letter.reason for letter in letters)


def test_while_a_letter_can_not_be_kept_nothing_that_was_fetched_is_lost(kafka_bench: KafkaBench) -> None:
    async def story(bus: Any) -> list[Message]:
        await bus.send([message(1)])
        sending = bus._sink._producer.send(f"{bus.config.prefix}.observations", value=b"{not json", key=b"k")
        sending.get(timeout=10)
        await bus.send([message(2)])
        bus._letters._config = msgspec.structs.replace(bus.config, brokers=(f"127.0.0.1:{free_port()}",))
        with pytest.raises(Transient, match="no Kafka broker answers"):
            await read_all(bus)
        bus._letters._config = bus.config
        await bus.close()
        return await read_all(bus)

    assert run(kafka_bench, story) == [message(1), message(2)]

    assert [letter.value for letter in kafka_bench.letters()] == [b"{not json"]


def test_a_message_that_is_too_large_is_refused_aloud_and_its_neighbours_pass(kafka_bench: KafkaBench) -> None:
    huge = SelfReport(code="self_inventory_stale", subject="inventory.yaml", at=AT, detail="x" * 11_000_000)

    async def story(bus: Any) -> list[Message]:
        await bus.send([message(1), huge, message(2)])
        await bus.close()
        return await read_all(bus)

    assert run(kafka_bench, story) == [message(1), message(2)]

    (letter,) = kafka_bench.letters()
    assert "11,000," in letter.reason
    assert letter.value == encode(huge)[: len(letter.value)]


def test_messages_carry_the_attributes_of_cloudevents(kafka_bench: KafkaBench) -> None:
    async def story(bus: Any) -> Any:
        await bus.send([message(1)])
        (found,) = await next_batch(bus)
        return bus.source()._origins[id(found)]

    record = run(kafka_bench, story)

    headers = {name: value.decode() for name, value in record.headers}
    assert headers["ce_type"] == "io.anchorwatch.self.v1"
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_source"] == "/test"
    assert headers["ce_time"] == "2026-11-24T00:00:01Z"
    assert headers["content-type"] == "application/json"
    assert len(headers["ce_id"]) == 32
    assert record.value == encode(message(1))
