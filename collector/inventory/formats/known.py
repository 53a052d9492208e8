"""Which format a document has, and the inventory of all documents of a source. Pure.

A document whose format is not said is read by its name and by what it looks like: an inventory of ours has
``identities`` or is a list; anything else has marks that no inventory of ours can have.
"""

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from collector.inventory.documents import FORMATS, SUFFIXES, decode_text, guess_format, read_rows
from collector.inventory.formats.cyclonedx import is_bill, read_bill
from collector.inventory.formats.gathering import Found
from collector.inventory.formats.issuers import is_list_of_issuers, read_issuers
from collector.inventory.formats.kubernetes import is_manifest, read_manifests
from collector.inventory.formats.mcp import is_client_configuration, read_clients
from collector.inventory.formats.trees import Tree, read_json, read_trees
from collector.inventory.rows import Inventory, Manner, Placed, Unusable, merge_inventories, read_identities

KUBERNETES = "kubernetes"
LOOKED_AT = 64 * 1024
MARKS: dict[str, Callable[[object], bool]] = {
    KUBERNETES: is_manifest,
    "cyclonedx": is_bill,
    "mcp": is_client_configuration,
    "oidc": is_list_of_issuers,
}
NAMES = (*FORMATS, *MARKS)
_OURS = re.compile(r'\s*(?:\{\s*"identities"\s*:|\[\s*\{[^{}]{0,1000}"id"\s*:|\[\s*")')


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a source; ``name`` within the source, empty where it is the only one, ``file`` for people."""

    name: str
    file: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Options:
    """How the documents of a source are read.

    format: what they are; empty: each by its name and looks.
    identity: who consumes the hosts of a plain list, or what an MCP client or the component of a bill is called.
    defaults: the fields of an identity that count where a row does not say them.
    env_urls: whether URLs in the environment of containers count.
    keeps_places: whether ``Inventory.places`` is wanted.
    """

    format: str = ""
    identity: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    env_urls: bool = False
    keeps_places: bool = False


def read_documents(documents: Sequence[Document], options: Options) -> Inventory:
    """Return the inventory of all documents of a source; one that can't be read is among ``unread``.

    Manifests are read together, since what one says of a namespace or service account holds in the others.

    Raises:
        ValueError: the only document can't be read; the sentence has the place.
    """
    parts: list[Inventory] = []
    manifests: list[Tree] = []
    for document in documents:
        try:
            text = decode_text(document.content, document.file)
            if not text.strip():
                continue
            chosen = options.format or recognise(text, document.file)
            if chosen == KUBERNETES:
                manifests += _trees_of(text, document)
            else:
                parts.append(_read(text, chosen, document, options))
        except ValueError as problem:
            if not document.name:
                raise
            parts.append(_unread(document.name, str(problem)))
    if manifests:
        found = read_manifests(manifests, env_urls=options.env_urls)
        parts.append(_inventory_of(found, "", options))
    return merge_inventories(parts) if len(parts) != 1 else parts[0]


def recognise_text(content: bytes, file: str) -> str:
    """Return the format of a file whose name need not say it.

    Raises:
        ValueError: it is no text.
    """
    text = decode_text(content, file)
    by_name = SUFFIXES.get(PurePath(file).suffix.lower(), "") or guess_format(text)
    return _recognise(text, file, by_name) if text.strip() else by_name


def recognise(text: str, file: str) -> str:
    """Return the format of a text by the name of its file and by what it looks like.

    Raises:
        ValueError: nothing says what it is.
    """
    return _recognise(text, file, SUFFIXES.get(PurePath(file).suffix.lower(), ""))


def _recognise(text: str, file: str, by_name: str) -> str:
    if by_name in ("csv", "txt"):
        return by_name
    if by_name == "json" and _OURS.match(text):  # it may be large: it is not read twice
        return "json"
    lines = (line for line in io.StringIO(text) if line.strip() and line[0] != "#" and not line.startswith("---"))
    first = next(lines, "")
    if by_name == "yaml" and first.startswith(("identities:", "x-", "- ")) and not _may_be_issuers(text):
        return "yaml"
    value = _sample(text)
    found = [name for name, fits in MARKS.items() if fits(value)]
    if len(found) == 1:
        return found[0]
    if not by_name:
        raise ValueError(f"{file}: its name does not say what it is: say 'format', one of {', '.join(NAMES)}")
    return by_name


def _may_be_issuers(text: str) -> bool:
    return any(mark in text[:LOOKED_AT] for mark in ("issuer", "Arn:"))


def _sample(text: str) -> object:
    """Return the first document of a text, None where it can't be read."""
    if text.lstrip()[:1] in ("{", "["):
        return read_json(text, "", comments=True).value
    return next((tree.value for tree in read_trees(text, "") if not tree.problem and tree.value is not None), None)


def _trees_of(text: str, document: Document) -> Iterable[Tree]:
    trees = list(read_trees(text, document.file, document.name))
    if len(trees) == 1 and trees[0].problem:
        raise ValueError(trees[0].problem)
    return trees


def _read(text: str, chosen: str, document: Document, options: Options) -> Inventory:
    file, name = document.file, document.name
    match chosen:
        case "mcp":
            return _inventory_of(read_clients(text, file, name, options.identity), name, options)
        case "oidc":
            return _inventory_of(read_issuers(text, file, name), name, options)
        case "cyclonedx":
            return _inventory_of(read_bill(text, file, name, options.identity), name, options)
        case _:
            rows = read_rows(text, chosen, file)
            if options.identity and chosen == "txt":
                rows = _of_one(rows, options.identity, file)
            return _inventory_of(Found(rows), name, options)


def _of_one(rows: Iterable[Placed], identity: str, file: str) -> list[Placed]:
    """Return the hosts of a plain list as those of one identity; a line that can't be used is its broken endpoint."""
    endpoints = [
        Placed(row.value if isinstance(row.value, Unusable) else row.value["endpoints"][0], row.place) for row in rows
    ]
    row: dict[str, Any] = {"id": identity, "endpoints": endpoints}
    return [Placed(row, file)]


def _inventory_of(found: Found, document: str, options: Options) -> Inventory:
    manner = Manner(document, options.defaults, options.keeps_places)
    read = read_identities(found.rows, manner)
    return Inventory(read.identities, read.problems, read.broken, found.notes, (), read.places)


def _unread(document: str, problem: str) -> Inventory:
    return Inventory(unread=((document, problem),))
