"""A part that the engine can't read any more is told at the start, with what it was."""

import subprocess
import sys
from pathlib import Path

from tests.support import making

SCRIPT = """
import asyncio, logging, sys
from pathlib import Path
from analyzer.config import HistoryConfig
from analyzer.history.clickhouse import open_history
from analyzer.stage import Analyzer
from tests.support.making import AT, judgement, observation, snapshot

logging.basicConfig(format="%(message)s %(table)s" if sys.argv[2] == "read" else None)
history = open_history(HistoryConfig(url="chdb:data", base=Path(sys.argv[1])))
if sys.argv[2] == "write":
    batch = [snapshot("sa", "api.bank.example"), observation(judgement(), AT)]
    asyncio.run(Analyzer(history, AT.timestamp).handle(batch))
print(len(history.latest_judgements()), len(history.damaged_parts()))
history.close()
"""


def run(folder: Path, what: str) -> "subprocess.CompletedProcess[str]":
    """One process a path: the engine reads its parts when it starts."""
    root = Path(making.__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), what],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=root,
    )


def test_a_damaged_part_is_told_at_the_start(tmp_path: Path) -> None:
    written = run(tmp_path, "write")
    assert written.stdout.split() == ["1", "0"], written.stderr
    hurt = 0
    for metadata in (tmp_path / "data").rglob("columns.txt"):
        if b"`judgement`" in metadata.read_bytes():
            (metadata.parent / "checksums.txt").write_bytes(b"no checksums")
            hurt += 1
    assert hurt

    read = run(tmp_path, "read")

    assert read.stdout.split() == ["0", str(hurt)], read.stderr
    assert "a part of the history is damaged and was put aside" in read.stderr
    assert "observations" in read.stderr
