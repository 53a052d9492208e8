"""The units: as systemd itself reads them, and how much they leave open by its own measure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemons import find_tool

UNITS = Path(__file__).parents[2] / "compose" / "systemd"
NAMES = ("anchorwatch.service", "anchorwatch@.service")
MOST_EXPOSED = 2.0
each_unit = pytest.mark.parametrize("name", NAMES)


def analyze(*words: str) -> str:
    if find_tool("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    done = subprocess.run(
        ["systemd-analyze", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    return done.stdout + done.stderr


def directives(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"([A-Za-z]+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@each_unit
def test_systemd_finds_nothing_wrong(tmp_path: Path, name: str) -> None:
    text = (UNITS / name).read_text(encoding="utf-8").replace("/usr/local/bin/anchorwatch", sys.executable)
    unit = tmp_path / name.replace("@", "@collector")
    unit.write_text(text)

    said = [line for line in analyze("verify", "--man=no", str(unit)).splitlines() if "anchorwatch" in line]

    assert said == []


def test_systemd_finds_what_is_wrong(tmp_path: Path) -> None:
    unit = tmp_path / "anchorwatch.service"
    unit.write_text("[Service]\nExecStart=/nowhere/at/all\nProtectSystm=strict\n")

    assert "ProtectSystm" in analyze("verify", "--man=no", str(unit))


@each_unit
def test_the_exposure_is_low(tmp_path: Path, name: str) -> None:
    unit = tmp_path / name.replace("@", "@collector")
    unit.write_text((UNITS / name).read_text(encoding="utf-8"))

    said = analyze("security", "--offline=true", "--no-pager", str(unit))

    level = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert level is not None, said[-500:]
    assert float(level[1]) <= MOST_EXPOSED


@each_unit
def test_the_process_is_what_the_unit_says(name: str) -> None:
    found = directives(name)

    assert found["Type"] == ["notify"]
    assert found["NotifyAccess"] == ["main"]
    assert int(found["WatchdogSec"][0]) >= 30
    assert found["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert found["RestartPreventExitStatus"] == ["2"]
    assert found["DynamicUser"] == ["yes"]
    assert not any("PASSWORD" in one or "TOKEN" in one for one in found.get("Environment", []))


def test_the_two_units_are_confined_alike() -> None:
    one, other = (directives(name) for name in NAMES)
    own = {"Description", "ExecStart", "ExecStartPre", "StateDirectory", "WorkingDirectory"}

    assert {key: value for key, value in one.items() if key not in own} == {
        key: value for key, value in other.items() if key not in own
    }
