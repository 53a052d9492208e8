"""Messages to bytes and back, and the key that orders them."""

import hashlib
from datetime import UTC, datetime
from typing import get_args

import msgspec

from schemas.faults import Rejected
from schemas.messages import (
    Act,
    Finding,
    InventoryIndex,
    InventorySnapshot,
    Message,
    Notification,
    Observation,
    PollBatch,
    Recall,
    SelfReport,
    ZoneObservation,
    ZoneSweep,
)

AnyMessage = (
    ZoneObservation
    | ZoneSweep
    | Observation
    | PollBatch
    | InventorySnapshot
    | InventoryIndex
    | SelfReport
    | Recall
    | Finding
    | Act
    | Notification
)
TYPES: tuple[type[Message], ...] = get_args(AnyMessage)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(AnyMessage)


def encode(message: Message) -> bytes:
    """Return the message as JSON."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """Return the message in ``data``.

    Raises:
        Rejected: not JSON, nested too deep, an unknown tag, or a field that does not fit.
    """
    try:
        return _decoder.decode(data)
    except RecursionError as error:
        raise Rejected("not a message of ours: it is nested too deep") from error
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise Rejected(f"not a message of ours: {error}") from error


def key_of(message: Message) -> str:
    """Return what the message is keyed by: messages with one key stay in order."""
    match message:
        case ZoneObservation() | ZoneSweep():
            return message.zone
        case Observation():
            return " ".join(message.subject)
        case PollBatch():
            return message.vantage
        case InventorySnapshot():
            return message.id
        case InventoryIndex():
            return "\0index"  # no identity is called so
        case SelfReport():
            return f"{message.code} {message.subject}"
        case Recall():
            return "recall"
        case Act():
            return message.subject or message.kind
        case Finding():
            return message.cause_zone
        case Notification():
            return message.incident
    raise Rejected(f"no key for a {type(message).__name__}")


def id_of(message: Message) -> str:
    """Return what names the message for ever: the same content has the same id."""
    match message:
        case ZoneObservation() | ZoneSweep() | Observation() | PollBatch() | Act():
            return message.id
        case Finding():
            return f"{message.id}.{message.version}"
        case _:
            return digest_of(encode(message))[:32]


def tag_of(message: Message) -> str:
    """Return the tag of the message's type, ``observation.v1``."""
    return str(type(message).__struct_config__.tag)


def time_of(message: Message) -> datetime:
    """Return the instant that the message speaks of."""
    match message:
        case ZoneObservation() | Observation():
            return message.observed_at
        case ZoneSweep():
            return message.swept_at
        case PollBatch():
            return max(message.polled_at, default=datetime.fromtimestamp(0, UTC))
        case InventorySnapshot() | InventoryIndex():
            return message.seen_at
        case Finding():
            return message.updated_at
        case SelfReport() | Recall() | Act() | Notification():
            return message.at
    raise Rejected(f"no time for a {type(message).__name__}")


def digest_of(*parts: str | bytes) -> str:
    """Return the hex SHA-256 of the parts, each preceded by its length: no two lists share a digest by shifting."""
    pieces: list[bytes] = []
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        pieces += (len(data).to_bytes(8, "big"), data)
    return hashlib.sha256(b"".join(pieces)).hexdigest()
