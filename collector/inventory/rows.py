"""Who consumes what: documents of an inventory to identities, with every problem named.

A bad row is reported with its place and left out; the good rows stay. Further columns are kept as labels, unless they
may hold a secret.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, get_args

import msgspec

from collector.dnssec import records
from collector.inventory.hosts import parse_endpoints
from schemas.answers import read_allowed
from schemas.judgement import Verdict
from schemas.messages import Criticality, Endpoint, Identity, IdentityKind
from schemas.redaction import holds_secret, is_secret_name, safe

KINDS = get_args(IdentityKind)
CRITICALITIES = get_args(Criticality)
IDENTITY_FIELDS = ("id", "kind", "owner", "environment", "criticality", "endpoints")
IDENTITY_TEXTS = ("kind", "owner", "environment", "criticality")
ENDPOINT_FIELDS = ("host", "port", "types", "purpose", "expect", "answers", "unsigned_alias_ok")
ENDPOINT_FIELD_SET = frozenset(ENDPOINT_FIELDS)
MOST_LABELS = 50
LONGEST_LABEL = 500
MOST_ANSWERS = 1000
DEFAULT_TYPES = ("A", "AAAA")
NOT_WATCHABLE = frozenset({"ANY", "RRSIG", "OPT", "AXFR", "IXFR", "TSIG", "TKEY", "MAILB", "MAILA"})


@dataclass(frozen=True, slots=True)
class Placed:
    """A value from a document and where it stood: ``inventory.yaml:12``.

    ``origin`` is what stays the same though lines are inserted above it: ``ServiceEntry prod/partner``.
    """

    value: Any
    place: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Unusable:
    """In the place of a row's value: why it can't be read, and its id if that can."""

    why: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that can't be used, or only in part: its id, empty where none can be read, and the sentence on it.

    ``is_whole`` is False where the identity stands and only some of its endpoints can't be used.
    """

    id: str
    problem: str
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Inventory:
    """The identities of all sources, ordered by id, and a sentence for each row that can't be used.

    broken: those problems again, each with the id of its row.
    notes: sentences on what is there and can't be watched by its nature, such as an address: nothing to put right.
    unread: the documents of a source with several that can't be read, each with a sentence; of those that were in them
        nobody is gone.
    places: where each endpoint stands, by the id of its identity and its host; only where it was asked for.
    """

    identities: tuple[Identity, ...] = ()
    problems: tuple[str, ...] = ()
    broken: tuple[Broken, ...] = ()
    notes: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    places: Mapping[tuple[str, str], str] = field(default_factory=dict)


class _Problem(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Manner:
    """How the rows of one document are read.

    document: its name among those of its source, empty where it is the only one.
    defaults: the fields of an identity that count where a row does not say them.
    keeps_places: whether the place of each endpoint is wanted afterwards; a million of them are 200 MB.
    """

    document: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    keeps_places: bool = False

    def origin_of(self, origin: str) -> str:
        """Return an origin with the document before it."""
        return _once(f"{self.document}: {origin}") if self.document and origin else self.document or origin


def document_of(origin: str) -> str:
    """Return the document in an origin that has one; of one that has none, what is no document's name."""
    return origin.partition(": ")[0]


def read_identities(rows: Iterable[Placed], manner: Manner | None = None) -> Inventory:
    """Turn placed rows (mappings with the fields of an identity) into an inventory.

    A later row with an id already seen is refused. Endpoints that can't be used are left out of an identity that
    otherwise stands.
    """
    manner = manner or Manner()
    stands: dict[tuple[str, str], str] = {}
    identities: dict[str, Identity] = {}
    places: dict[str, str] = {}
    problems: list[str] = []
    broken: list[Broken] = []
    for row in rows:
        unusable: list[str] = []
        try:
            identity = _read_identity(row, unusable, manner, stands)
        except _Problem as problem:
            problems.append(f"{row.place}: {problem}")
            broken.append(Broken(_readable_id(row.value), problems[-1]))
            continue
        if identity.id in identities:
            problems.append(f"{row.place}: identity {safe(identity.id)} is there already, at {places[identity.id]}")
            continue
        problems += unusable
        broken += [Broken(identity.id, problem, is_whole=False) for problem in unusable]
        identities[identity.id], places[identity.id] = identity, row.place
    ordered = tuple(identities[key] for key in sorted(identities))
    return Inventory(ordered, tuple(problems), tuple(broken), places=stands)


def merge_inventories(parts: Iterable[Inventory]) -> Inventory:
    """Join sources; an id that two of them have keeps its first owner, and the endpoints of both."""
    merged: dict[str, Identity] = {}
    problems: list[str] = []
    broken: list[Broken] = []
    notes: list[str] = []
    unread: list[tuple[str, str]] = []
    places: dict[tuple[str, str], str] = {}
    for part in parts:
        problems.extend(part.problems)
        broken.extend(part.broken)
        notes.extend(part.notes)
        unread.extend(part.unread)
        places = {**part.places, **places} if part.places else places
        for identity in part.identities:
            known = merged.get(identity.id)
            merged[identity.id] = identity if known is None else joined(known, identity.endpoints)
    identities = tuple(merged[key] for key in sorted(merged))
    return Inventory(identities, tuple(problems), tuple(broken), tuple(notes), tuple(unread), places)


def joined(identity: Identity, endpoints: Iterable[Endpoint]) -> Identity:
    """Return the identity with these endpoints besides its own, each once."""
    return msgspec.structs.replace(identity, endpoints=tuple(dict.fromkeys((*identity.endpoints, *endpoints))))


def _readable_id(value: object) -> str:
    if isinstance(value, Unusable):
        return value.id
    found = value.get("id") if isinstance(value, Mapping) else None
    return found.strip() if isinstance(found, str) and is_whole_text(found) else ""


def is_whole_text(text: str) -> bool:
    """Return whether a text can be written as UTF-8: JSON may hold half a character, which no message can."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_identity(row: Placed, problems: list[str], manner: Manner, stands: dict[tuple[str, str], str]) -> Identity:
    value = row.value
    if isinstance(value, Unusable):
        raise _Problem(value.why)
    if not isinstance(value, Mapping):
        raise _Problem(f"an identity is a mapping with at least 'id', not {safe(value)}")
    identity_id = value.get("id")
    if not isinstance(identity_id, str) or not identity_id.strip():
        raise _Problem("an identity needs an 'id', a text that is not empty" + _boolean_hint(identity_id))
    identity_id = identity_id.strip()
    shown = safe(identity_id)
    texts = {name: _text(value, name) or manner.defaults.get(name, "") for name in IDENTITY_TEXTS}
    for name, text in {"id": identity_id, **texts}.items():
        if not is_whole_text(text):
            raise _Problem(f"{name!r} has half of a character in it: write the whole of it")
        if holds_secret(text):
            raise _Problem(
                f"{name!r} looks like a piece of a connection string, so it is not shown: "
                "put quotes around a field that has the separator in it"
            )
    labels = _labels(value, shown)
    kind, criticality = texts["kind"].lower() or "other", texts["criticality"].lower() or "medium"
    if kind not in KINDS:
        raise _Problem(f"identity {shown}: unknown kind {safe(kind)}; one of {', '.join(KINDS)}")
    if criticality not in CRITICALITIES:
        raise _Problem(f"identity {shown}: unknown criticality {safe(criticality)}; one of {', '.join(CRITICALITIES)}")
    raw = value.get("endpoints") or []
    if not isinstance(raw, list):
        raise _Problem(f"identity {shown}: 'endpoints' is a list")
    endpoints = []
    for item in raw:
        placed = item if isinstance(item, Placed) else Placed(item, row.place)
        if isinstance(placed.value, Unusable):
            problems.append(f"{placed.place}: identity {shown}: {placed.value.why}")
            continue
        try:
            read = _read_endpoint(placed.value, manner.origin_of(placed.origin or row.origin))
            endpoints += read
            if manner.keeps_places:
                for one in read:
                    stands.setdefault((identity_id, one.host), placed.place)
        except ValueError as problem:
            problems.append(f"{placed.place}: identity {shown}: {problem}")
    return Identity(
        id=identity_id,
        kind=kind,  # type: ignore[arg-type]  # checked against the Literal's own values above
        owner=texts["owner"],
        environment=texts["environment"],
        criticality=criticality,  # type: ignore[arg-type]  # as above
        endpoints=tuple(dict.fromkeys(endpoints)),
        labels=labels,
    )


def _labels(value: Mapping[str, Any], shown: str) -> dict[str, str]:
    """Return the fields that an identity does not have, as texts; those that may hold a secret are left out."""
    labels: dict[str, str] = {}
    for key, found in value.items():
        name = str(key).strip()
        if name in IDENTITY_FIELDS or found is None or found == "":
            continue
        meant = meant_field(name, IDENTITY_FIELDS)
        if meant:
            raise _Problem(f"identity {shown}: unknown field {safe(name)}; {meant!r} is meant?")
        text = str(found).strip() if isinstance(found, str | int | float) else json.dumps(found, default=str)
        if not is_whole_text(name + text):
            raise _Problem(f"identity {shown}: a field has half of a character in it: write the whole of it")
        if name and len(labels) < MOST_LABELS and not is_secret_name(name) and not may_hold_secret(text):
            labels[name[:LONGEST_LABEL]] = text[:LONGEST_LABEL]
    return labels


def may_hold_secret(text: str) -> bool:
    """Return whether a label's text had better not be kept: it has credentials, or an @ after a colon or slash."""
    return holds_secret(text) or ("@" in text and bool(re.search(r"[:/].*@", text)))


def meant_field(name: str, known: Iterable[str]) -> str:
    """Return the field that a name that is none comes close to, empty if it is a word of its own."""
    close = difflib.get_close_matches(name.lower().replace(" ", "_"), [one for one in known if len(one) > 2], 1, 0.82)
    return close[0] if close else ""


def _boolean_hint(value: object) -> str:
    return (
        f" (YAML reads an unquoted {'yes' if value else 'no'} as a boolean: quote it)"
        if isinstance(value, bool)
        else ""
    )


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    if found is None:
        return ""
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise _Problem(f"{name!r} is a text{_boolean_hint(found)}")
    return _once(str(found).strip())


@lru_cache(maxsize=65_536)
def _once(text: str) -> str:
    """Return a text; of those that many rows say, the same object."""
    return text


def _read_endpoint(value: object, origin: str) -> list[Endpoint]:
    """Return the endpoints of one entry: one, or as many as a connection string names hosts."""
    if isinstance(value, str):
        return [Endpoint(host=host, port=port, origin=origin) for host, port in parse_endpoints(value)]
    if not isinstance(value, Mapping):
        raise ValueError(f"an endpoint is a host name or a mapping with 'host', not {safe(value)}")
    if not value.keys() <= ENDPOINT_FIELD_SET:
        named = ", ".join(map(safe, sorted(set(map(str, value)) - ENDPOINT_FIELD_SET)))
        raise ValueError(f"unknown field {named}; an endpoint has {', '.join(ENDPOINT_FIELDS)}")
    host_text = value.get("host")
    if not isinstance(host_text, str):
        raise ValueError("an endpoint needs a 'host'" + _boolean_hint(host_text))
    found = parse_endpoints(host_text)
    host = found[0][0]
    given = value.get("port")
    if given is not None and (isinstance(given, bool) or not isinstance(given, int) or not 0 < given < 65536):
        raise ValueError(f"{host}: the port is a number from 1 to 65535, not {safe(given)}")
    expect = value.get("expect")
    if expect is not None and expect not in list(Verdict):
        raise ValueError(f"{host}: 'expect' is one of {', '.join(Verdict)}, not {safe(expect)}")
    allowed = value.get("unsigned_alias_ok", False)
    if not isinstance(allowed, bool):
        raise ValueError(f"{host}: 'unsigned_alias_ok' is true or false")
    purpose = str(value.get("purpose") or "")
    if not is_whole_text(purpose):
        raise ValueError(f"{host}: 'purpose' has half of a character in it: write the whole of it")
    if holds_secret(purpose):
        raise ValueError(f"{host}: 'purpose' looks like it holds a credential, so it is not shown")
    types = _read_types(host, value.get("types", DEFAULT_TYPES))
    return [
        Endpoint(
            host=name,
            port=given if given is not None else port,
            types=types,
            purpose=purpose,
            expect=Verdict(expect) if expect is not None else None,
            answers=_read_answers(host, value.get("answers"), types),
            unsigned_alias_ok=allowed,
            origin=origin,
        )
        for name, port in found
    ]


def _read_answers(host: str, value: object, types: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the row allows the name to answer, each entry in its one form."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{host}: 'answers' is a list of addresses, networks or alias targets, each a text")
    if len(value) > MOST_ANSWERS:
        raise ValueError(f"{host}: 'answers' has {len(value)} entries, and may have {MOST_ANSWERS}: allow networks")
    allowed = []
    for item in value:
        try:
            allowed.append(read_allowed(item, types))
        except ValueError as problem:
            raise ValueError(f"{host}: 'answers': {safe(item)} {problem}") from problem
    return tuple(dict.fromkeys(allowed))


def _read_types(host: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{host}: 'types' is a list of record types such as [A, AAAA]")
    try:
        return _types_of(tuple(value))
    except _Type as problem:
        raise ValueError(f"{host}: {problem}") from problem


class _Type(ValueError):
    """What is wrong with a record type."""


@lru_cache(maxsize=1024)
def _types_of(mnemonics: tuple[str, ...]) -> tuple[str, ...]:
    types = []
    for item in mnemonics:
        mnemonic = item.upper()
        try:
            records.type_from_text(mnemonic)
        except ValueError as error:
            raise _Type(f"{safe(item)} is no record type") from error
        if mnemonic in NOT_WATCHABLE:
            raise _Type(f"records of type {mnemonic} can't be watched")
        types.append(mnemonic)
    return tuple(dict.fromkeys(types))
