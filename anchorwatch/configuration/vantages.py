"""``vantages``: the resolvers that are asked, and how those over TLS prove who they are."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Section, explain_ca_file
from collector.config import VantagePoint
from collector.resolvers.address import Address, parse_address, system_resolvers
from collector.resolvers.identity import PROVING_SCHEMES, Identity, parse_pin
from schemas.redaction import safe

RESOLV_CONF = Path("/etc/resolv.conf")
_SERVER_NAME = re.compile(
    r"(?!.{254})[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?|[0-9a-fA-F:.]+"
)

Report = Callable[[str, str], None]
"""Takes a key and what is wrong with its value."""


class VantageSection(Section, frozen=True, kw_only=True):
    """One resolver; ``ca_file``, ``server_name`` and ``pins`` say how it proves over TLS who it is."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    resolver: str
    ca_file: str | None = None
    server_name: str | None = None
    pins: tuple[str, ...] | None = None


def read_vantages(sections: Sequence[VantageSection], base: Path, document: Document) -> tuple[VantagePoint, ...]:
    """Return the vantages, the system's resolvers where none are named."""
    found: list[VantagePoint] = []
    for number, section in enumerate(sections):
        where = f"vantages[{number}]"
        if any(point.name == section.name for point in found):
            document.problem(f"{where}.name", f"{safe(section.name)} is there twice")
        address: Address | None = None
        try:
            address = parse_address(section.resolver)
        except ValueError as error:
            document.problem(f"{where}.resolver", str(error))
        identity = read_identity(
            address.scheme if address is not None else None,
            section.ca_file,
            section.server_name,
            section.pins,
            base,
            lambda key, sentence, where=where: document.problem(f"{where}.{key}", sentence),  # type: ignore[misc]
        )
        if address is not None:
            found.append(VantagePoint(name=section.name, address=replace(address, identity=identity)))
    if sections:
        return tuple(found)
    found = default_vantages()
    if not found:
        document.problem("vantages", f"none given, and {RESOLV_CONF} names no resolver")
    return tuple(found)


def read_identity(
    scheme: str | None,
    ca_file: str | None,
    server_name: str | None,
    pins: Sequence[str] | None,
    base: Path,
    report: Report,
) -> Identity:
    """Return how a resolver proves who it is, of values that may be absent (None); what is wrong is reported.

    ``scheme`` is that of its URL, None where that could not be read.
    """
    given = {"ca_file": ca_file, "server_name": server_name, "pins": pins}
    for key in (key for key, value in given.items() if value is not None and scheme is not None):
        if scheme not in PROVING_SCHEMES:
            report(key, "only a resolver of tls:// or https:// can prove who it is")
    ca_path = ""
    if ca_file is not None:
        ca_path = str(base / ca_file)
        if why := explain_ca_file(ca_path) if ca_file else "no file is named":
            report("ca_file", why)
    if server_name is not None and not _SERVER_NAME.fullmatch(server_name):
        report("server_name", f"{safe(server_name)} is no host name and no address")
    digests: list[bytes] = []
    if pins is not None and not pins:
        report("pins", "the list is empty: nobody could match it; leave the key out where any key is good")
    for number, pin in enumerate(pins or ()):
        try:
            digests.append(parse_pin(pin))
        except ValueError as error:
            report(f"pins[{number}]", str(error))
    return Identity(ca_path, server_name or "", tuple(digests))


def default_vantages() -> list[VantagePoint]:
    """Return the system's resolvers as vantages, each named by its address; empty when there are none."""
    try:
        text = RESOLV_CONF.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [VantagePoint(name=f"system-{address.host}", address=address) for address in system_resolvers(text)]
