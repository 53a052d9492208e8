"""What processes that poll and the one that started them say to each other, whole, cut off, too long, or no frame."""

import asyncio
import struct
from datetime import UTC, datetime

import pytest

from anchorwatch.pipeline.frames import (
    MOST_BYTES,
    Again,
    Closed,
    Order,
    Stop,
    messages_frame,
    order_frame,
    read_order,
    read_report,
    status_frame,
)
from collector.dnssec import names
from collector.polling.memory import PollTarget
from collector.polling.roster import RosterChange
from collector.polling.status import PollingStatus
from schemas.messages import Message, PollBatch, SelfReport
from tests.support.making import judgement, link, observation, zone_observation

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
STATUS = PollingStatus(watched=3, polls=7, answered_at={"corp": 1.5}, passed_over={"id": 2})


async def reader_of(octets: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(octets)
    reader.feed_eof()
    return reader


def read_all(octets: bytes) -> list[list[Message] | PollingStatus]:
    async def story() -> list[list[Message] | PollingStatus]:
        reader, read = await reader_of(octets), []
        while not reader.at_eof():
            read.append(await read_report(reader))
        return read

    return asyncio.run(story())


def test_what_is_reported_comes_out_as_it_went_in() -> None:
    batch = PollBatch(
        id="b",
        vantage="corp",
        names=("a.",),
        types=("A",),
        observations=("o",),
        polled_at=(AT,),
        inceptions=(1,),
        expirations=(2,),
    )
    report = SelfReport(code="self_vantage_lost", subject="corp", at=AT, detail="gone", by="")
    messages: list[Message] = [observation(judgement(), AT), zone_observation(link("bank.example."), AT), batch, report]

    octets = messages_frame(messages) + status_frame(STATUS) + messages_frame([])

    assert read_all(octets) == [messages, STATUS, []]


@pytest.mark.parametrize(
    "order",
    [
        RosterChange(1, [(PollTarget(names.from_text("a.example"), 1, "corp"), ("example", "corp"))]),
        Again((("a.example.", "A", "corp"),)),
        Stop.NOW,
    ],
    ids=["change", "again", "stop"],
)
def test_orders_come_out_as_they_went_in(order: Order) -> None:
    async def story() -> Order:
        return await read_order(await reader_of(order_frame(order)))

    assert asyncio.run(story()) == order


def test_a_frame_that_is_cut_off_anywhere_means_that_the_other_end_is_gone() -> None:
    whole = status_frame(STATUS)

    for length in range(len(whole)):
        with pytest.raises(Closed):
            asyncio.run(_read_one(whole[:length]))


@pytest.mark.parametrize(
    "octets",
    [
        struct.pack("!IB", MOST_BYTES + 1, 1) + b"x" * 64,
        struct.pack("!IB", 4, 1) + b"\xc1\xc1\xc1\xc1",
        struct.pack("!IB", 4, 2) + b"\xa3abc",
        struct.pack("!IB", 1, 2) + b"\xc0",
        b"Traceback (most recent call last)" * 2,
    ],
    ids=["too long", "no message", "no status", "nothing", "a text"],
)
def test_what_is_no_frame_ends_the_one_that_sent_it(octets: bytes) -> None:
    with pytest.raises(Closed):
        asyncio.run(_read_one(octets))


async def _read_one(octets: bytes) -> object:
    return await read_report(await reader_of(octets))
