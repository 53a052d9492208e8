"""The wheel that the image installs: all that is in the tree is in it, and it runs where nothing else of ours is."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from anchorwatch import __version__

ROOT = Path(__file__).parents[2]
PACKAGES = ("alerts", "analyzer", "anchorwatch", "collector", "schemas")
pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path) -> str:
    """Run a command in which nothing of this checkout is on the path, and return what it prints."""
    done = subprocess.run(
        [*words], cwd=cwd, capture_output=True, text=True, timeout=600, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_tree() -> set[str]:
    """Return every file below our packages that is no product of running it."""
    found = {path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()}
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as in compose/Dockerfile, of a copy so that nothing is left in the tree."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder / "dist", folder, cwd=folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it; what it depends on is lent by ours, without a look at any index."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_all_that_is_in_the_tree_is_in_the_wheel(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert inside == in_tree()
    assert {path.rpartition(".")[2] for path in inside} >= {"py", "sql", "json", "yaml", "html", "css"}


def test_the_command_runs_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import anchorwatch; print(anchorwatch.__file__)", cwd=tmp_path)

    assert where.startswith(str(installed.parent))
    assert run(installed / "anchorwatch", "--version", cwd=tmp_path) == f"anchorwatch, version {__version__}\n"
    assert "Stage incidents" in run(installed / "anchorwatch", "demo", "--help", cwd=tmp_path)
    assert '"$id": "urn:anchorwatch:schema:config"' in run(installed / "anchorwatch", "schema", "config", cwd=tmp_path)


def test_what_is_shipped_beside_the_code_is_found_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = (
        "from anchorwatch.configuration.rules import shipped_mappings, shipped_rules\n"
        "from analyzer.history.migrations import load_migrations\n"
        "print(len(shipped_rules()), len(shipped_mappings()), len(load_migrations()))\n"
    )

    counts = run(installed / "python", "-c", code, cwd=tmp_path).split()

    assert all(int(count) > 0 for count in counts)
