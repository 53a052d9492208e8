"""Messages as they lie on a topic: decoded, and rows of the inventory checked like rows of a file."""

from typing import Any

import msgspec

from collector.inventory.rows import Placed, read_identities
from schemas.faults import Rejected
from schemas.messages import Identity, InventorySnapshot, Message
from schemas.wire import decode


def read_message(record: Any) -> tuple[Message, str]:
    """Return a record's message, and what of it can't be used: empty, or the sentences about endpoints left out.

    Raises:
        Rejected: it is no message of ours, or an identity that no inventory file could have.
    """
    message = decode(record.value)
    if not isinstance(message, InventorySnapshot) or message.identity is None:
        return message, ""
    place = f"{record.topic}/{record.partition}@{record.offset}"
    try:
        identity, problems = check_identity(message.identity, place)
    except Exception as fault:  # one row must not end those who read all of them
        raise Rejected(f"{place}: row {message.id!r} can't be checked: {type(fault).__name__}: {fault}") from fault
    if identity is None or identity.id != message.id:
        raise Rejected(problems or f"{place}: row {message.id!r} is about another identity, {message.identity.id!r}")
    return msgspec.structs.replace(message, identity=identity), problems


def check_identity(identity: Identity, place: str) -> tuple[Identity | None, str]:
    """Return what of an identity a file may say too, None if nothing, and the sentences about the rest."""
    row = msgspec.json.decode(msgspec.json.encode(identity))
    del row["labels"]  # a file has them as columns of any name
    # A file does not say where it is found itself: whoever reads it does.
    row["endpoints"] = [Placed(endpoint, place, endpoint.pop("origin")) for endpoint in row["endpoints"]]
    inventory = read_identities([Placed(row, place)])
    problems = "; ".join(inventory.problems)
    if not inventory.identities:
        return None, problems
    return msgspec.structs.replace(inventory.identities[0], labels=identity.labels), problems
