"""Without the extra that has the embedded engine: one sentence, and all that needs no engine."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import environment

WITHOUT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("chdb", "pandas", "pyarrow", "numpy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "chdb" else found(name, package)
sys.meta_path.insert(0, Absent())
from anchorwatch.__main__ import main
main()
"""


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    (folder / "inventory.csv").write_text("id,endpoints\nsa,www.example\n")
    (folder / "anchorwatch.yaml").write_text("inventory: [{path: inventory.csv}]\n")
    command = [sys.executable, "-c", WITHOUT, *words]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment(), timeout=60, check=False
    )


@pytest.mark.parametrize("words", [("run", "anchorwatch.yaml"), ("run", "--check-config", "anchorwatch.yaml")])
def test_what_needs_the_engine_says_how_to_get_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, *words)

    assert done.returncode == 2
    assert "install anchorwatch[embedded]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("words", [("validate", "www.example"), ("check", "inventory.csv")])
def test_looking_once_needs_no_engine(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, *words, "--resolver", "udp://127.0.0.1:9")

    assert done.returncode == 3
    assert "could not be fetched" in done.stdout
