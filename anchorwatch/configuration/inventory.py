"""``inventory``: where the identities come from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Duration, Section, read_seconds, read_share
from collector.config import InventorySource
from collector.inventory.documents import SUFFIXES
from collector.inventory.store import Store


class SourceSection(Section, frozen=True, kw_only=True):
    """One inventory source."""

    path: str
    format: Literal["yaml", "csv", "json", "txt"] | None = None
    max_shrink: str | float = "20%"
    accept_after: Duration = "24h"


def read_sources(
    sections: Sequence[SourceSection], base: Path, state: Path, document: Document
) -> tuple[InventorySource, ...]:
    """Return the sources; a file may be absent if ``state`` has rows of it."""
    found: list[InventorySource] = []
    if not sections:
        document.problem("inventory", "at least one source is needed")
    for number, section in enumerate(sections):
        path = base / section.path
        format_name = section.format or SUFFIXES.get(path.suffix.lower())
        if format_name is None:
            document.problem(f"inventory[{number}]", f"{section.path}: say 'format: yaml', 'csv' or 'json' (or 'txt')")
            continue
        if not path.is_file() and not Store(state).is_known(path):
            document.problem(f"inventory[{number}].path", f"there is no file {path}")
        if any(one.path == path for one in found):
            document.problem(f"inventory[{number}].path", f"{section.path} is there twice")
        accept_after = read_seconds(section.accept_after, f"inventory[{number}].accept_after", document, least=1.0)
        shrink = read_share(section.max_shrink, f"inventory[{number}].max_shrink", document)
        found.append(InventorySource(path=path, format=format_name, max_shrink=shrink, accept_after_s=accept_after))
    return tuple(found)
