"""Terminals as they are: the verdict and its exit status come through every encoding, pipe and descriptor."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorwatch.cli.terminal import fit_text, to_ascii_json, wants_colour
from tests.support.running import COMMAND, Lab, environment

ENCODINGS = ["utf-8", "ascii", "latin-1", "cp1252", "iso8859-15", "cp437", "koi8-r", "utf-16"]
# One of each kind: that has all signs, none of them, some of them, and not an octet each.
KINDS = {"utf-8", "ascii", "cp1252", "utf-16"}
BOGUS = 2


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


def bogus(lab: Lab) -> list[str]:
    """A question whose answer is bogus: without the lab's anchor."""
    return ["validate", "api.bank.example", "--resolver", lab.url]


def in_shell(redirection: str, *words: str, **environ: str) -> "subprocess.CompletedProcess[bytes]":
    """Run the command with its streams as the shell makes them; the status is the command's own."""
    command = " ".join(shlex.quote(word) for word in (*COMMAND, *words))
    return subprocess.run(
        ["bash", "-c", f"{command} {redirection}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        timeout=60,
        check=False,
        env={**environment(), **environ},
    )


@pytest.mark.parametrize(
    "encoding", [one if one in KINDS else pytest.param(one, marks=pytest.mark.slow) for one in ENCODINGS]
)
@pytest.mark.parametrize("trailing", [[], ["--json"]], ids=["screen", "json"])
def test_the_verdict_comes_through_every_encoding(lab: Lab, encoding: str, trailing: list[str]) -> None:
    done = in_shell("", *bogus(lab), *trailing, PYTHONIOENCODING=encoding)

    said = done.stdout.decode(encoding)
    assert done.returncode == BOGUS, done.stderr
    assert done.stderr == b""
    assert json.loads(said)["verdict"] == "bogus" if trailing else "is BOGUS" in said


def test_signs_that_ascii_lacks_are_replaced_by_ascii_ones(lab: Lab) -> None:
    done = in_shell("", *bogus(lab), PYTHONIOENCODING="ascii")

    assert done.stdout.isascii()
    assert b"x ." in done.stdout
    assert b"<- the weakest link" in done.stdout


def test_a_locale_without_an_encoding_is_enough(lab: Lab) -> None:
    settings = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}

    done = in_shell("", *bogus(lab), **settings)

    assert done.returncode == BOGUS, done.stderr
    assert b"is BOGUS" in done.stdout


def test_octets_that_are_no_text_are_refused_in_a_sentence() -> None:
    done = in_shell(" $'a\\xff.example'", "validate", "--resolver", "udp://127.0.0.1:1")

    assert done.returncode == 3
    assert b"Traceback" not in done.stderr
    assert b"Error:" in done.stderr


@pytest.mark.parametrize(
    "redirection",
    ["| head -0", "| true", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>/dev/full"],
)
@pytest.mark.parametrize(
    "trailing", [pytest.param([], id="screen"), pytest.param(["--json"], id="json", marks=pytest.mark.slow)]
)
def test_the_exit_status_is_the_verdict_wherever_the_output_goes(
    lab: Lab, redirection: str, trailing: list[str]
) -> None:
    done = in_shell(redirection, *bogus(lab), *trailing)

    assert done.returncode == BOGUS, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_an_inventory_whose_reader_went_away_has_its_exit_status(lab: Lab, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.csv"
    inventory.write_text("id,kind,owner,environment,criticality,endpoints\nsa,device,ops,prod,low,api.bank.example\n")

    done = in_shell("| head -0", "check", str(inventory), "--resolver", lab.url)

    assert done.returncode == BOGUS, done.stderr


def test_a_verdict_that_could_not_be_written_is_told_on_standard_error(lab: Lab) -> None:
    done = in_shell(">/dev/full", *bogus(lab))

    assert b"standard output can't be written: No space left on device" in done.stderr


def test_what_is_no_verdict_fails_when_it_can_not_be_written() -> None:
    done = in_shell(">/dev/full", "--help")

    assert done.returncode == 1


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, None),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
        ({"FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    ],
)
def test_the_environment_decides_on_colours(environ: dict[str, str], wanted: bool | None) -> None:
    assert wants_colour(environ) is wanted


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_gets_colours_unless_it_says_no(lab: Lab, environ: dict[str, str], coloured: bool) -> None:
    ours, theirs = os.openpty()
    plain = {key: value for key, value in environment().items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [*COMMAND, *bogus(lab)], stdout=theirs, stderr=theirs, env={**plain, "TERM": "xterm", **environ}
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:  # the other side has closed
        pass
    os.close(ours)

    assert process.wait(30) == BOGUS
    assert (b"\x1b[" in said) is coloured


@settings(deadline=None)
@given(text=st.text(), encoding=st.sampled_from(ENCODINGS))
def test_every_text_fits_every_encoding(text: str, encoding: str) -> None:
    fitted = fit_text(text, encoding)

    assert fitted.encode(encoding).decode(encoding) == fitted


@settings(deadline=None)
@given(value=st.dictionaries(st.text(), st.text()))
def test_a_document_in_ascii_is_the_same_document(value: dict[str, str]) -> None:
    try:
        encoded = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return

    text = to_ascii_json(encoded)

    assert text.isascii()
    assert json.loads(text) == value
