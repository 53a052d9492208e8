"""``receivers``: where notifications go."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from alerts.receivers.receiver import Receiver, secret_fields
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import read_secret_file
from schemas.redaction import safe


def read_receivers(receivers: Sequence[Receiver], base: Path, document: Document) -> tuple[Receiver, ...]:
    """Return the receivers with their secrets in them, as their types name and check them.

    ``base`` is the folder that relative paths start from.
    """
    found: list[Receiver] = []
    for number, receiver in enumerate(receivers):
        path = f"receivers[{number}]"
        if any(one.name == receiver.name for one in found):
            document.problem(f"{path}.name", f"{safe(receiver.name)} is there twice")
        secrets, unread = {}, set()
        for name, key in secret_fields(type(receiver)).items():
            if file_name := getattr(receiver, name):
                if secret := read_secret_file(base / file_name, f"{path}.{key}", document):
                    secrets[name] = secret
                else:
                    unread.add(key)
        found.append(msgspec.structs.replace(receiver, **secrets))
        for key, sentence in found[-1].problems():
            if key not in unread:
                document.problem(f"{path}.{key}" if key else path, sentence)
    return tuple(found)
