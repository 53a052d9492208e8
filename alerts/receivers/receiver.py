"""What every type of receiver has: its part of the configuration, and how a notifier comes of that. Pure.

A type is a struct with its ``type`` as the tag, its own fields and checks, and the notifier made of it, in one file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec

from alerts.delivery.notifier import Notifier

SECRET = "secret"
Secret = Annotated[str, msgspec.Meta(extra={SECRET: True})]
"""A field that is secret: in the file its key names another file; the loader puts what that holds here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers, and the first octets of the body where it was asked for."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient(Protocol):
    """The way to receivers on the net."""

    def exchange(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        deadline_s: float,
        wants_body: bool = False,
    ) -> Answer:
        """Send a request once and return the answer; nothing is followed. The body of a yes only if it is wanted."""
        ...


class TopicWriter(Protocol):
    """The way to topics on the bus between the stages."""

    def write(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> str:
        """Write one message once and wait until it is stored; return why it was not, empty if it was."""
        ...


class Receiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """One receiver as the configuration has it; its secrets are in no repr."""

    name: str

    @property
    def where(self) -> str:
        """Return what it is reached at, a URL or a program; empty where it is this process. It may hold a secret."""
        return ""

    @property
    def hears_acknowledgements(self) -> bool:
        """Return whether we hear of it when people acknowledge there; where they do it here, we do."""
        return True

    @property
    def hook(self) -> tuple[str, str] | None:
        """Return the vendor and the secret by which it may call us, None where it never does."""
        return None

    @property
    def takes_findings(self) -> bool:
        """Return whether it gets every finding as an event, whatever the routes say, and no pages."""
        return False

    @property
    def takes_letters(self) -> bool:
        """Return whether it can say words that are about no incident, as a digest."""
        return False

    @property
    def needs_bus(self) -> bool:
        """Return whether it is reached over the bus between the stages, so that it needs one."""
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right: the key, empty for the receiver as a whole, and a sentence."""
        yield from ()

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what reaches it."""
        raise NotImplementedError

    def make_bus_notifier(self, topics: TopicWriter) -> Notifier:
        """Return what reaches it over the bus, for a receiver that ``needs_bus``."""
        raise NotImplementedError


def secret_fields(kind: type[Receiver]) -> dict[str, str]:
    """Return the secret fields of a type of receiver, each with its key in the configuration."""
    hints = get_type_hints(kind, include_extras=True)
    return {one.name: one.encode_name for one in msgspec.structs.fields(kind) if _is_secret(hints[one.name])}


def _is_secret(hint: object) -> bool:
    notes = [note for note in get_args(hint) if isinstance(note, msgspec.Meta)]
    return any((note.extra or {}).get(SECRET) for note in notes)


def read_lines(secret: str) -> list[str]:
    """Return the secrets in a file, one a line: the first is in use, further ones are those of before."""
    return [line.strip() for line in secret.splitlines() if line.strip()]


def check_url(url: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the URL of a receiver."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        yield "url", "a URL begins with https:// (or http://) and names a host"
