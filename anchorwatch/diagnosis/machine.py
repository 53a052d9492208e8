"""What this machine has for the watch: room on its disks, descriptors, the engine."""

import os
import resource
import shutil
from pathlib import Path

from anchorwatch.diagnosis.checks import Check, State

GIB = 1 << 30
LITTLE_BYTES, SCARCE_BYTES = GIB, GIB // 4
FEW_DESCRIPTORS = 4096


def check_folder(what: str, folder: Path) -> Check:
    """Return whether there is room below a folder, and whether this user can write there; it need not be there yet."""
    part = "disk"
    nearest = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(nearest).free
    detail = f"{free / GIB:.1f} GiB free at {nearest}"
    if not nearest.is_dir():
        change = f"'{what}' has to be a folder: move the file away, or name another"
        return Check(part=part, what=what, state=State.CRITICAL, detail=f"{nearest} is a file", change=change)
    if free < SCARCE_BYTES:
        change = "make room before it is full: on a full disk people are told, but nothing is stored (self_disk_full)"
        return Check(part=part, what=what, state=State.CRITICAL, detail=detail, change=change)
    if not os.access(nearest, os.W_OK | os.X_OK):
        change = f"let the user that runs anchorwatch write there (this is user {os.getuid()})"
        return Check(part=part, what=what, state=State.WARNING, detail=f"{nearest} can't be written", change=change)
    if free < LITTLE_BYTES:
        return Check(part=part, what=what, state=State.WARNING, detail=detail, change="make room (docs/sizing.md)")
    return Check(part=part, what=what, state=State.OK, detail=detail)


def check_descriptors() -> Check:
    """Return whether a process may open enough: for polls, the engine, receivers and the pages."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    known = "no limit" if hard == resource.RLIM_INFINITY else f"at most {hard}"
    if hard != resource.RLIM_INFINITY and hard < FEW_DESCRIPTORS:
        change = (
            f"raise the hard limit to {FEW_DESCRIPTORS} or more: LimitNOFILE= of the unit, ulimits of the container"
        )
        return Check(part="descriptors", what="open files", state=State.WARNING, detail=known, change=change)
    return Check(part="descriptors", what="open files", state=State.OK, detail=known)


def check_engine(history_url: str) -> Check | None:
    """Return whether the embedded engine is there where the history needs it, None where it does not."""
    if not history_url.startswith("chdb:"):
        return None
    from analyzer.history.connection import NO_ENGINE, is_engine_installed

    if is_engine_installed():
        return Check(part="history", what="embedded engine", state=State.OK, detail="installed")
    change = "pipx install 'anchorwatch[embedded]', or say history: {url: clickhouse://…}"
    return Check(part="history", what="embedded engine", state=State.CRITICAL, detail=NO_ENGINE, change=change)
