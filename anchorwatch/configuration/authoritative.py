"""``authoritative``: how the servers of zones are asked themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Duration, Natural, Section, read_seconds
from collector.authorities.addresses import read_address
from collector.authorities.hints import ROOT_HINTS, Hints, parse_hints
from collector.config import Authorities, VantagePoint
from collector.dnssec import names
from schemas.redaction import safe, without_quoted

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class AuthoritativeSection(Section, frozen=True, kw_only=True):
    """Where walks begin, how often zones are swept, and how fast servers are asked."""

    hints: str = ""
    stubs: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    port: Port = 53
    allow_private: bool = False
    sweep: Duration = "1h"
    rate: Natural = 20
    total_rate: Natural = 200


def read_authoritative(
    section: AuthoritativeSection | None, vantages: Sequence[VantagePoint], base: Path, document: Document
) -> Authorities | None:
    """Return how authoritative servers are asked, None where nothing in the file has them asked."""
    walked = [point.name for point in vantages if point.address.is_authoritative]
    if section is None and not walked:
        return None
    if len(walked) > 1:
        document.problem("vantages", "the authoritative servers are one vantage, not several")
    section = section or AuthoritativeSection()
    name = walked[0] if walked else Authorities().vantage
    if not walked and any(point.name == name for point in vantages):
        document.problem("vantages", f"{name} is the name of the authoritative servers, not of a resolver")
    return Authorities(
        vantage=name,
        hints=_read_hints(section.hints, base, document),
        stubs=_read_stubs(section.stubs, document),
        port=section.port,
        allow_private=section.allow_private,
        sweep_s=read_seconds(section.sweep, "authoritative.sweep", document, least=1.0),
        rate=float(section.rate),
        total_rate=float(section.total_rate),
    )


def _read_hints(path: str, base: Path, document: Document) -> Hints:
    if not path:
        return ROOT_HINTS
    try:
        return read_hints_file(base / path)
    except ValueError as error:
        for line in str(error).splitlines():
            document.problem("authoritative.hints", line)
        return ROOT_HINTS


def read_hints_file(path: Path) -> Hints:
    """Return the root servers in a file.

    Raises:
        ValueError: it can't be read or used; one sentence a line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_hints(text, str(path))


def _read_stubs(stubs: dict[str, tuple[str, ...]], document: Document) -> dict[str, tuple[str, ...]]:
    for zone, addresses in stubs.items():
        where = f"authoritative.stubs.{zone}"
        try:
            names.from_text(zone)
        except ValueError as error:
            document.problem("authoritative.stubs", f"{safe(zone)}: {without_quoted(str(error))}")
        if not addresses:
            document.problem(where, "no address of a server")
        for address in addresses:
            try:
                read_address(address)
            except ValueError as error:
                document.problem(where, str(error))
    return stubs
