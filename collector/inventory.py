"""Who consumes what: documents of an inventory to identities, with every problem named.

A bad row is reported with its place and left out; the good rows stay. Credentials in URLs are dropped here, before
anything is kept.

Source: RFC 1123 §2.1 (host names), RFC 5891 (internationalised names), RFC 3986 §3.2 (authority of a URL).
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import idna

from collector import names, records
from schemas.judgement import Verdict
from schemas.messages import Criticality, Endpoint, Identity, IdentityKind

KINDS = get_args(IdentityKind)
CRITICALITIES = get_args(Criticality)
IDENTITY_FIELDS = ("id", "kind", "owner", "environment", "criticality", "endpoints")
ENDPOINT_FIELDS = ("host", "port", "types", "purpose", "expect", "answers", "unsigned_alias_ok")
DEFAULT_TYPES = ("A", "AAAA")
NOT_WATCHABLE = frozenset({"ANY", "RRSIG", "OPT", "AXFR", "IXFR", "TSIG", "TKEY", "MAILB", "MAILA"})


@dataclass(frozen=True, slots=True)
class Placed:
    """A value from a document and where it stood: ``inventory.yaml:12``."""

    value: Any
    place: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The identities of all sources, ordered by id, and a sentence for each row that can't be used."""

    identities: tuple[Identity, ...] = ()
    problems: tuple[str, ...] = ()


class _Problem(ValueError):
    pass


def parse_host(text: str) -> str:
    """Return the host of a name or URL: A-labels, lower case, no final dot; user, password, port and path are dropped.

    Raises:
        ValueError: a sentence that says why the name can't be watched.
    """
    return parse_authority(text)[0]


def parse_authority(text: str) -> tuple[str, int | None]:
    """Return host and port of a name, ``name:port`` or URL; see ``parse_host``."""
    shown = _without_credentials(text)
    rest = text.strip()
    if "://" in rest:
        rest = rest.split("://", 1)[1]
    for stop in "/?#":
        rest = rest.split(stop, 1)[0]
    rest = rest.rpartition("@")[2]
    port: int | None = None
    if rest.startswith("["):
        raise ValueError(f"{shown!r} is an IP address: an address has no name that could be bent")
    if rest.count(":") == 1:
        rest, _, digits = rest.partition(":")
        if not digits.isdigit() or not 0 < int(digits) < 65536:
            raise ValueError(f"{shown!r}: the port is not a number from 1 to 65535")
        port = int(digits)
    return _checked_host(rest, shown), port


def _without_credentials(text: str) -> str:
    """Return the text without what may be a password, for messages."""
    scheme, separator, rest = text.strip().rpartition("://")
    authority, slash, _path = rest.partition("/")
    if "@" in authority:
        authority = "…@" + authority.rpartition("@")[2]
    return scheme + separator + authority + (slash + "…" if slash else "")


def _checked_host(host: str, shown: str) -> str:
    if not host:
        raise ValueError(f"{shown!r} has no host in it")
    if _is_address(host):
        raise ValueError(f"{shown!r} is an IP address: an address has no name that could be bent")
    if "*" in host:
        raise ValueError(f"{shown!r} is a wildcard: name the hosts that are really consumed")
    bare = host.removesuffix(".").lower()
    if not bare.isascii():
        try:
            bare = idna.encode(bare, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"{shown!r} is no internationalised name: {error}") from error
    if any(not (character.isalnum() or character in "-_.") for character in bare):
        raise ValueError(f"{shown!r} has a character that no host name has")
    if any(label.startswith("-") or label.endswith("-") for label in bare.split(".")):
        raise ValueError(f"{shown!r}: a label begins or ends with a hyphen")
    try:
        return names.to_text(names.from_text(bare))[:-1]
    except ValueError as error:
        raise ValueError(f"{shown!r} is no host name: {error}") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.replace(".", "").isdigit() and host.count(".") == 3
    return True


def read_identities(rows: Iterable[Placed]) -> Inventory:
    """Turn placed rows (mappings with the fields of an identity) into an inventory.

    A later row with an id already seen is refused. Endpoints that can't be used are left out of an identity that
    otherwise stands.
    """
    identities: dict[str, Identity] = {}
    places: dict[str, str] = {}
    problems: list[str] = []
    for row in rows:
        try:
            identity = _read_identity(row, problems)
        except _Problem as problem:
            problems.append(f"{row.place}: {problem}")
            continue
        if identity.id in identities:
            problems.append(f"{row.place}: identity {identity.id!r} is there already, at {places[identity.id]}")
            continue
        identities[identity.id], places[identity.id] = identity, row.place
    return Inventory(tuple(identities[key] for key in sorted(identities)), tuple(problems))


def merge_inventories(parts: Iterable[Inventory]) -> Inventory:
    """Join sources; an id that two of them have keeps its first owner, and the endpoints of both."""
    merged: dict[str, Identity] = {}
    problems: list[str] = []
    for part in parts:
        problems.extend(part.problems)
        for identity in part.identities:
            known = merged.get(identity.id)
            if known is None:
                merged[identity.id] = identity
            else:
                endpoints = tuple(dict.fromkeys(known.endpoints + identity.endpoints))
                merged[identity.id] = Identity(
                    **{**{f: getattr(known, f) for f in known.__struct_fields__}, "endpoints": endpoints}
                )
    return Inventory(tuple(merged[key] for key in sorted(merged)), tuple(problems))


def _read_identity(row: Placed, problems: list[str]) -> Identity:
    value = row.value
    if not isinstance(value, Mapping):
        raise _Problem(f"an identity is a mapping with at least 'id', not {type(value).__name__}")
    unknown = sorted(set(map(str, value)) - set(IDENTITY_FIELDS))
    if unknown:
        raise _Problem(f"unknown field {', '.join(unknown)}; an identity has {', '.join(IDENTITY_FIELDS)}")
    identity_id = value.get("id")
    if not isinstance(identity_id, str) or not identity_id.strip():
        raise _Problem("an identity needs an 'id', a text that is not empty" + _boolean_hint(identity_id))
    texts = {field: _text(value, field) for field in ("kind", "owner", "environment", "criticality")}
    kind, criticality = texts["kind"] or "other", texts["criticality"] or "medium"
    if kind not in KINDS:
        raise _Problem(f"identity {identity_id!r}: unknown kind {kind!r}; one of {', '.join(KINDS)}")
    if criticality not in CRITICALITIES:
        raise _Problem(
            f"identity {identity_id!r}: unknown criticality {criticality!r}; one of {', '.join(CRITICALITIES)}"
        )
    raw = value.get("endpoints") or []
    if not isinstance(raw, list):
        raise _Problem(f"identity {identity_id!r}: 'endpoints' is a list")
    endpoints = []
    for item in raw:
        placed = item if isinstance(item, Placed) else Placed(item, row.place)
        try:
            endpoints.append(_read_endpoint(placed.value))
        except ValueError as problem:
            problems.append(f"{placed.place}: identity {identity_id!r}: {problem}")
    return Identity(
        id=identity_id.strip(),
        kind=kind,  # type: ignore[arg-type]  # checked against the Literal's own values above
        owner=texts["owner"],
        environment=texts["environment"],
        criticality=criticality,  # type: ignore[arg-type]  # as above
        endpoints=tuple(dict.fromkeys(endpoints)),
    )


def _boolean_hint(value: object) -> str:
    return (
        f" (YAML reads an unquoted {'yes' if value else 'no'} as a boolean: quote it)"
        if isinstance(value, bool)
        else ""
    )


def _text(value: Mapping[str, Any], field: str) -> str:
    found = value.get(field)
    if found is None:
        return ""
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise _Problem(f"{field!r} is a text{_boolean_hint(found)}")
    return str(found).strip()


def _read_endpoint(value: object) -> Endpoint:
    if isinstance(value, str):
        host, port = parse_authority(value)
        return Endpoint(host=host, port=port)
    if not isinstance(value, Mapping):
        raise ValueError(f"an endpoint is a host name or a mapping with 'host', not {type(value).__name__}")
    unknown = sorted(set(map(str, value)) - set(ENDPOINT_FIELDS))
    if unknown:
        raise ValueError(f"unknown field {', '.join(unknown)}; an endpoint has {', '.join(ENDPOINT_FIELDS)}")
    host_text = value.get("host")
    if not isinstance(host_text, str):
        raise ValueError("an endpoint needs a 'host'" + _boolean_hint(host_text))
    host, port = parse_authority(host_text)
    given = value.get("port", port)
    if given is not None and (isinstance(given, bool) or not isinstance(given, int) or not 0 < given < 65536):
        raise ValueError(f"{host}: the port is a number from 1 to 65535, not {given!r}")
    expect = value.get("expect")
    if expect is not None and expect not in list(Verdict):
        raise ValueError(f"{host}: 'expect' is one of {', '.join(Verdict)}, not {expect!r}")
    allowed = value.get("unsigned_alias_ok", False)
    if not isinstance(allowed, bool):
        raise ValueError(f"{host}: 'unsigned_alias_ok' is true or false")
    return Endpoint(
        host=host,
        port=given,
        types=_read_types(host, value.get("types", DEFAULT_TYPES)),
        purpose=str(value.get("purpose") or ""),
        expect=Verdict(expect) if expect is not None else None,
        answers=tuple(map(str, value.get("answers") or ())),
        unsigned_alias_ok=allowed,
    )


def _read_types(host: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{host}: 'types' is a list of record types such as [A, AAAA]")
    types = []
    for item in value:
        mnemonic = item.upper()
        records.type_from_text(mnemonic)
        if mnemonic in NOT_WATCHABLE:
            raise ValueError(f"{host}: records of type {mnemonic} can't be watched")
        types.append(mnemonic)
    return tuple(dict.fromkeys(types))
