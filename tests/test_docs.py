"""What is written is what is there."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorwatch.__main__ import cli
from anchorwatch.configuration.loading import FileSections
from anchorwatch.web.api import make_app
from schemas.catalogue import ROWS, Kind
from tests import doctables

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code() -> None:
    assert doctables.fill(README) == README, "run: .venv/bin/python -m tests.doctables"


def test_the_page_of_findings_is_the_catalogue() -> None:
    assert doctables.FINDINGS.read_text(encoding="utf-8") == doctables.findings(), (
        "run: .venv/bin/python -m tests.doctables"
    )


def test_every_code_that_is_a_finding_has_a_runbook() -> None:
    assert {path.stem for path in doctables.RUNBOOKS.glob("*.md")} == {
        str(row.code) for row in ROWS if row.kind is not Kind.REASON
    }
    for name, page in doctables.runbooks().items():
        path = doctables.RUNBOOKS / name
        assert path.read_text(encoding="utf-8") == page, "run: .venv/bin/python -m tests.doctables"


def test_the_words_of_a_scenario_are_those_of_the_code() -> None:
    text = doctables.SCENARIOS.read_text(encoding="utf-8")

    assert doctables.fill_scenarios(text) == text, "run: .venv/bin/python -m tests.doctables"


def test_the_case_of_each_code_is_in_the_page_of_detection() -> None:
    text = doctables.DETECTION.read_text(encoding="utf-8")

    assert doctables.fill_detection(text) == text, "run: .venv/bin/python -m tests.doctables"


def test_modules_of_the_validator_that_are_named_exist() -> None:
    text = (ROOT / "docs/validation.md").read_text(encoding="utf-8")

    for module in re.findall(r"`([\w/]+\.py)`", text):
        assert (ROOT / "collector" / module).exists(), module


def test_every_command_of_the_readme_is_there() -> None:
    for command in set(re.findall(r"\.venv/bin/anchorwatch (\w+)", README)):
        assert command in cli.commands


def test_every_section_of_the_configuration_is_in_the_readme() -> None:
    for section in FileSections.__struct_fields__:
        assert re.search(rf"^\| `{section}[.\[`]|^`{section}` \(also", README, re.MULTILINE), section


def test_every_metric_is_in_the_readme() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "anchorwatch").rglob("*.py"))
    named = set(re.findall(r'"(anchorwatch_[a-z_]+)",', source))

    assert len(named) > 30
    for name in named:
        assert re.search(rf"`{name.removesuffix('_total')}(_total|_info)?[`{{]", README), name


def test_every_path_of_the_api_is_in_the_readme() -> None:
    class Nobody:
        pass

    for route in make_app(Nobody()).routes:  # type: ignore[arg-type]
        path = route.path.removeprefix("/api/v1").replace("{digest}", "DIGEST").replace(":path}", "}")  # type: ignore[attr-defined]
        if path.startswith(("/api", "/-", "/metrics")) or route.path.startswith("/api"):  # type: ignore[attr-defined]
            assert path in README, path


def test_every_target_of_the_makefile_is_helped() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]

    assert targets == set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda path: path.name)
def test_files_that_are_named_exist(path: Path) -> None:
    for name in re.findall(
        r"`((?:tests|docs|alerts|schemas|collector|analyzer|anchorwatch)/[\w./-]+)`", path.read_text()
    ):
        assert (ROOT / name).exists(), name


def test_help_speaks_of_exit_status() -> None:
    assert "Exit status" in CliRunner().invoke(cli, ["validate", "--help"]).output
