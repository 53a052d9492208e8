"""A process that polls imports the code of who started it, and nothing that lies in the working directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anchorwatch.pipeline.workers import COMMAND

ROOT = Path(__file__).parents[2]
BOMB = "import pathlib\npathlib.Path('it-went-off').write_text(__name__)\n"
LOADED = (
    "anchorwatch",
    "msgspec",
    "dns",
    "collector",
    "socket",
    "asyncio",
    "schemas",
    "sitecustomize",
    "usercustomize",
)


@pytest.fixture
def mined(tmp_path: Path) -> Path:
    """A folder with a module for many that are imported, each of which says that it was."""
    for name in LOADED:
        (tmp_path / f"{name}.py").write_text(BOMB)
    return tmp_path


def start(folder: Path, **environ: str) -> "subprocess.CompletedProcess[bytes]":
    """Start a process as ``Workers`` does; it ends because nobody has orders for it."""
    bare = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    return subprocess.run(
        COMMAND, cwd=folder, env=bare | environ, input=b"", capture_output=True, timeout=60, check=False
    )


def test_no_module_of_the_working_directory_is_imported(mined: Path) -> None:
    done = start(mined)

    assert (done.returncode, done.stderr) == (0, b"")
    assert not (mined / "it-went-off").exists()


def test_started_otherwise_they_would_be(mined: Path) -> None:
    command = [sys.executable, "-m", "anchorwatch.pipeline.worker"]

    subprocess.run(command, cwd=mined, input=b"", capture_output=True, timeout=60, check=False)

    assert (mined / "it-went-off").exists()


def test_the_code_is_that_of_who_starts_it(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "anchorwatch" / "pipeline").mkdir(parents=True)
    for name in ("anchorwatch", "anchorwatch/pipeline"):
        (other / name / "__init__.py").write_text("")
    source = (ROOT / "anchorwatch" / "pipeline" / "worker_start.py").read_text(encoding="utf-8")
    (other / "anchorwatch" / "pipeline" / "worker_start.py").write_text(source)
    (other / "anchorwatch" / "pipeline" / "worker.py").write_text("def main():\n    print(__file__)\n")
    script = other / "anchorwatch" / "pipeline" / "worker_start.py"

    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-P", script], env=bare, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str(other / "anchorwatch" / "pipeline" / "worker.py")
