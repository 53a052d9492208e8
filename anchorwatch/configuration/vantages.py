"""``vantages``: the resolvers that are asked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Section
from collector.config import VantagePoint
from collector.resolvers.address import parse_address, system_resolvers
from schemas.redaction import safe

RESOLV_CONF = Path("/etc/resolv.conf")


class VantageSection(Section, frozen=True, kw_only=True):
    """One resolver."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    resolver: str


def read_vantages(sections: Sequence[VantageSection], document: Document) -> tuple[VantagePoint, ...]:
    """Return the vantages, the system's resolvers where none are named."""
    found: list[VantagePoint] = []
    for number, section in enumerate(sections):
        try:
            address = parse_address(section.resolver)
        except ValueError as error:
            document.problem(f"vantages[{number}].resolver", str(error))
            continue
        if any(point.name == section.name for point in found):
            document.problem(f"vantages[{number}].name", f"{safe(section.name)} is there twice")
        found.append(VantagePoint(name=section.name, address=address))
    if sections:
        return tuple(found)
    found = default_vantages()
    if not found:
        document.problem("vantages", f"none given, and {RESOLV_CONF} names no resolver")
    return tuple(found)


def default_vantages() -> list[VantagePoint]:
    """Return the system's resolvers as vantages, each named by its address; empty when there are none."""
    try:
        text = RESOLV_CONF.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [VantagePoint(name=f"system-{address.host}", address=address) for address in system_resolvers(text)]
