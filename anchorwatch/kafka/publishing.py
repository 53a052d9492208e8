"""What a collector publishes of its inventory files: what differs from the topic, nothing of an older file. Pure."""

from collections.abc import Container, Mapping
from datetime import datetime

from collector.inventory.rows import Inventory
from collector.inventory.sources import FileMark
from schemas.messages import Identity, InventoryFile, InventoryIndex, InventorySnapshot, Message, utc


def differences(
    inventory: Inventory,
    known: Mapping[str, Identity | None],
    index: InventoryIndex | None,
    vantages: tuple[str, ...],
    *,
    complete: bool,
    now: datetime,
    sources: Mapping[str, str] | None = None,
    files: Mapping[str, InventoryFile] | None = None,
    withheld: Container[str] = (),
) -> list[Message]:
    """Return what must be published so that the topic says what the files say; of incomplete files nobody is gone.

    ``sources`` has the path of the file that each identity stands in, or stood in; ``files`` which versions were read.
    Nothing is published of the paths in ``withheld``.
    """
    path_of, versions = sources or {}, files or {}
    present = {identity.id: identity for identity in inventory.identities}
    news: list[Message] = [
        InventorySnapshot(id=key, seen_at=now, identity=identity, source=path_of.get(key, ""))
        for key, identity in present.items()
        if known.get(key) != identity and path_of.get(key, "") not in withheld
    ]
    if complete:
        gone = [
            key
            for key, identity in known.items()
            if identity is not None and key not in present and path_of.get(key, "") not in withheld
        ]
        news += [InventorySnapshot(id=key, seen_at=now, identity=None, source=path_of.get(key, "")) for key in gone]
    before = {} if index is None else index.files
    changed = {path: file for path, file in versions.items() if path not in before or _is_news(before[path], file)}
    if index is None or index.vantages != vantages or changed:
        news.append(InventoryIndex(seen_at=now, ids=None, vantages=vantages, files={**before, **changed}))
    return news


def versions_of(marks: Mapping[str, FileMark], by: str, now: datetime) -> dict[str, InventoryFile]:
    """Return the versions of files that were read, by path; one from the future counts as written now."""
    return {
        path: InventoryFile(digest=mark.digest, written_at=utc(min(mark.mtime_ns / 1e9, now.timestamp())), by=by)
        for path, mark in marks.items()
    }


def older_files(files: Mapping[str, InventoryFile], index: InventoryIndex | None) -> dict[str, str]:
    """Return of which of our files the inventory was published from a newer version, by path, each with a sentence."""
    found = {}
    for path, ours in files.items():
        theirs = index.files.get(path) if index is not None else None
        if theirs is None or theirs.digest == ours.digest or ours.written_at >= theirs.written_at:
            continue
        written, newer = (f"{one.written_at:%Y-%m-%d %H:%M:%S} UTC" for one in (ours, theirs))
        found[path] = (
            f"{path}: this collector's file was written at {written}, and {theirs.by or 'another collector'} published"
            f" one that was written at {newer}. The older one is not published, and what the newer one says stays"
            " watched: give both collectors the same file, or touch this one if it is the right one"
        )
    return found


def _is_news(before: InventoryFile, ours: InventoryFile) -> bool:
    return ours.digest != before.digest or ours.written_at > before.written_at


def rows_by_source(known: Mapping[str, Identity | None], source_of: Mapping[str, str]) -> dict[str, list[Identity]]:
    """Return the identities on the topic by the path of the file that they were published from."""
    rows: dict[str, list[Identity]] = {}
    for key, identity in known.items():
        if identity is not None and source_of.get(key):
            rows.setdefault(source_of[key], []).append(identity)
    return rows
