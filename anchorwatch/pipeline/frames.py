"""What a process that polls and the one that started it say to each other: frames of octets over a pipe.

A frame is its length in four octets, one octet that says what it is, and its content. The starter's frames are pickled:
they come from the process that made this one, and from nobody else.
"""

import asyncio
import pickle
import struct
from collections.abc import Sequence
from enum import Enum

import msgspec

from collector.config import CollectorConfig
from collector.polling.roster import RosterChange
from collector.polling.status import PollingStatus
from schemas.messages import Message
from schemas.wire import AnyMessage

MOST_BYTES = 1 << 28
_HEAD = struct.Struct("!IB")


class Stop(Enum):
    """The polls under way are to be ended, and then the process."""

    NOW = 0


class Start(msgspec.Struct, frozen=True):
    """The first frame: how to poll, and to log."""

    config: CollectorConfig
    level: str
    log_format: str


class Again(msgspec.Struct, frozen=True):
    """These (name, type, vantage) are to be observed anew."""

    subjects: tuple[tuple[str, str, str], ...]


Order = Start | RosterChange | Again | Stop

MESSAGES, STATUS = 1, 2
_encoder = msgspec.msgpack.Encoder()
_messages: msgspec.msgpack.Decoder[list[Message]] = msgspec.msgpack.Decoder(list[AnyMessage])
_status = msgspec.msgpack.Decoder(PollingStatus)


class Closed(Exception):
    """The other end of the pipe is gone, or says what can't be read."""


def order_frame(order: Order) -> bytes:
    """Return what the starter says."""
    return _frame(0, pickle.dumps(order, protocol=pickle.HIGHEST_PROTOCOL))


def messages_frame(messages: Sequence[Message]) -> bytes:
    """Return messages that are handed on; none mean that time passed."""
    return _frame(MESSAGES, _encoder.encode(messages))


def status_frame(status: PollingStatus) -> bytes:
    """Return how polling goes."""
    return _frame(STATUS, _encoder.encode(status))


def _frame(kind: int, content: bytes) -> bytes:
    return _HEAD.pack(len(content), kind) + content


async def read_order(reader: asyncio.StreamReader) -> Order:
    """Return the next that the starter says.

    Raises:
        Closed: it is gone.
    """
    _, content = await _read(reader)
    order: Order = pickle.loads(content)
    return order


async def read_report(reader: asyncio.StreamReader) -> list[Message] | PollingStatus:
    """Return the next that a process which polls says.

    Raises:
        Closed: it is gone, or something else writes to its pipe.
    """
    kind, content = await _read(reader)
    try:
        return _messages.decode(content) if kind == MESSAGES else _status.decode(content)
    except msgspec.MsgspecError as error:
        raise Closed(f"a frame that can't be read: {error}") from error


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    try:
        length, kind = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if length > MOST_BYTES:
            raise Closed(f"a frame of {length} octets")
        return kind, await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise Closed("the pipe was closed") from error
