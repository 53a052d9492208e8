"""What shells and ``man`` are given, as they themselves take it; and that NO_COLOR holds for every command."""

import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.shell_completion import get_completion_class

from anchorwatch.__main__ import cli
from anchorwatch.cli.completion import SHELLS, VARIABLE, write_page
from anchorwatch.cli.terminal import wants_colour
from tests.support.running import call_here


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_gets_what_completes(shell: str) -> None:
    done = call_here("completion", shell)

    assert done.returncode == 0, done.stderr
    assert f"{VARIABLE}={shell}_complete" in done.stdout.replace("env ", "")


def test_bash_takes_it(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("needs bash: apt-get install bash")
    script = tmp_path / "anchorwatch.bash"
    script.write_text(call_here("completion", "bash").stdout)

    done = subprocess.run(
        ["bash", "-c", f"set -e; source {script}; complete -p anchorwatch"], capture_output=True, text=True, check=True
    )

    assert "-F _anchorwatch_completion" in done.stdout


@pytest.mark.parametrize(
    ("words", "incomplete", "found"),
    [
        ((), "doc", {"doctor"}),
        (("completion",), "z", {"zsh"}),
        (("check",), "--all", {"--all"}),
        (("silence",), "a", {"add"}),
    ],
)
def test_commands_choices_and_options_are_completed(words: tuple[str, ...], incomplete: str, found: set[str]) -> None:
    kind = get_completion_class("bash")
    assert kind is not None

    completed = kind(cli, {}, "anchorwatch", VARIABLE).get_completions(list(words), incomplete)

    assert found <= {one.value for one in completed}


def test_the_manual_has_every_command_and_every_option() -> None:
    page = "\n".join(write_page(cli)).replace("\\-", "-")

    for name, command in cli.commands.items():
        assert f".SS {name}" in page
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[0] in page


def test_the_manual_is_read_without_a_complaint(tmp_path: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("needs groff: apt-get install groff")
    page = tmp_path / "anchorwatch.1"
    page.write_text(call_here("man").stdout)

    done = subprocess.run(
        ["groff", "-man", "-ww", "-Kutf8", "-Tutf8", "-P-cbou", page],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "doctor" in done.stdout


@pytest.mark.parametrize(
    ("environ", "wants"),
    [
        ({}, None),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
        ({"FORCE_COLOR": "1"}, True),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_are_wanted_as_the_environment_says(environ: dict[str, str], wants: bool | None) -> None:
    assert wants_colour(environ) is wants
