"""Endpoints that many objects of a document name, gathered into identities; what can't be watched, noted. Pure.

In documents that were not written for us there are addresses, wildcards and names of the cluster itself. They are no
mistake of anybody's, so they are told as notes and are no finding. No note has any piece of a URL.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from collector.inventory.hosts import Unwatchable, parse_endpoints
from collector.inventory.rows import Placed, Unusable, may_hold_secret

LONGEST_NAME = 200
INTERNAL = ("localhost", "local", "svc", "in-addr.arpa", "ip6.arpa")
_UNFILLED = re.compile(r"\$\{|\{\{|\$\(|<[a-z_-]+>|\{[A-Za-z_]\w*\}")


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a document, and sentences on what is there and can't be watched by its nature."""

    rows: Iterable[Placed]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Consumer:
    place: str
    fields: dict[str, Any]
    endpoints: list[Placed] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


class Gathering:
    """The identities of one document, or of several that belong together, as they come to light.

    ``document`` is the one that is read now, where there are several.
    """

    def __init__(self) -> None:
        self.document = ""
        self._consumers: dict[str, _Consumer] = {}
        self._broken: list[Placed] = []
        self.notes: list[str] = []

    def describe(self, identity: str, place: str, fields: Mapping[str, Any]) -> None:
        """Say who an identity is; what was said before stays."""
        consumer = self._consumers.setdefault(identity, _Consumer(place, {}))
        for key, value in fields.items():
            if value:
                consumer.fields.setdefault(key, value)

    def consume(
        self,
        identity: str,
        text: object,
        place: str,
        origin: str,
        shared: Mapping[str, Any] | None = None,
    ) -> None:
        """Say that an identity consumes the hosts of a name, URL or connection string.

        ``shared`` are further fields of the endpoint.
        """
        consumer = self._consumers.setdefault(identity, _Consumer(place, {}))
        for entry in self._entries(text, place, origin):
            if isinstance(entry, dict):
                value: dict[str, Any] | Unusable = {**entry, **(shared or {})}
                key = repr(value)
                if key in consumer.seen:
                    continue
                consumer.seen.add(key)
            else:
                value = entry
            whole = f"{self.document}: {origin}" if self.document else origin
            consumer.endpoints.append(Placed(value, place, whole))

    def note(self, place: str, origin: str, sentence: str) -> None:
        """Note what can't be watched by its nature."""
        self.notes.append(f"{place}: {origin}: {sentence}" if origin else f"{place}: {sentence}")

    def refuse(self, place: str, sentence: str, identity: str = "") -> None:
        """Report what is broken, and of whom if that is known."""
        self._broken.append(Placed(Unusable(sentence, identity), place))

    def found(self) -> Found:
        """Return who consumes what; those that consume nothing are left out, since nothing of them is watched."""
        rows = [
            Placed({"id": key, **one.fields, "endpoints": one.endpoints}, one.place)
            for key, one in self._consumers.items()
            if one.endpoints
        ]
        return Found([*rows, *self._broken], tuple(self.notes))

    def _entries(self, text: object, place: str, origin: str) -> Iterable[dict[str, Any] | Unusable]:
        if not isinstance(text, str) or not text.strip():
            return [Unusable("a host name or a URL is expected, as a text")]
        if _UNFILLED.search(text):
            self.note(place, origin, "it has a variable in it, so which host is meant is not known here")
            return []
        try:
            hosts = parse_endpoints(text)
        except Unwatchable as problem:
            self.note(place, origin, str(problem))
            return []
        except ValueError as problem:
            return [Unusable(str(problem))]
        entries: list[dict[str, Any] | Unusable] = []
        for host, port in hosts:
            if is_internal(host):
                self.note(
                    place, origin, "a name without a dot, or of the cluster or machine itself: it is not in the DNS"
                )
            else:
                entries.append({"host": host, **({"port": port} if port else {})})
        return entries


def is_internal(host: str) -> bool:
    """Return whether a name is one that only a machine or a cluster itself knows."""
    return "." not in host or any(host == one or host.endswith(f".{one}") for one in INTERNAL)


def shown_name(value: object) -> str:
    """Return a name that another program gave an object, as it may stand in an identity; empty where it may not."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return ""
    text = str(value).strip()
    if not text or len(text) > LONGEST_NAME or not text.isprintable() or may_hold_secret(text):
        return ""
    return text


def text_of(value: object) -> str:
    """Return a field that is a text or a number, else an empty text."""
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def nodes_in(value: object) -> list[tuple[int, Any]]:
    """Return the mappings of a list, each with its number; none where it is no list."""
    return (
        [(number, one) for number, one in enumerate(value) if isinstance(one, dict)] if isinstance(value, list) else []
    )


def texts_in(value: object) -> list[Any]:
    """Return the entries of a list, none where it is no list."""
    return list(value) if isinstance(value, list) else []
