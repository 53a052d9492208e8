"""A whole instance on a small disk that fills up: people are told, readiness says why, and nothing is lost."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.anchorwatch.test_commands import write_config
from tests.support.daemons import free_port
from tests.support.running import Lab, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    mounted: list[Path] = []

    def mount(megabytes: int) -> Path:
        disk = tmp_path / "disk"
        disk.mkdir()
        options = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)]
        if subprocess.run(options, check=False, capture_output=True).returncode:
            pytest.skip("needs to mount a tmpfs: not allowed here")
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def fill(disk: Path) -> Path:
    """Leave not one octet."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return filler


def objects_of(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects in a text: deliveries side by side may share a line, the last may be half there."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        try:
            one, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            break
        found.append(one)
        text = text[end:]
    return found


@pytest.mark.parametrize("megabytes", [24, 200])
def test_a_full_disk_silences_nobody_and_loses_nothing(
    lab: Lab, tmp_path: Path, disk_of: Callable[[int], Path], megabytes: int
) -> None:
    disk = disk_of(megabytes)
    port, told = free_port(), tmp_path / "told"
    config = write_config(disk, lab, port)
    config.write_text(config.read_text().replace(f"{disk}/told", str(told)))

    def events() -> list[tuple[str, str]]:
        text = told.read_text() if told.exists() else ""
        return [(one["event"], finding["code"]) for one in objects_of(text) for finding in one["findings"]]

    def stored(one: Any) -> list[Any]:
        found: list[Any] = one.get("/api/v1/history?name=login.idp.example&type=A")
        return found

    with running(config, f"http://127.0.0.1:{port}") as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 6, "six endpoints")
        one.until(lambda: [i["verdict"] for i in stored(one)] == ["secure"], "what was right before is in the history")
        filler = fill(disk)
        lab.stage(lambda world: world.stage_expired("idp.example."))
        try:
            one.until(lambda: ("trigger", "rrsig_expired") in events(), "the page about the zone")
            one.until(lambda: ("trigger", "self_disk_full") in events(), "the page about the disk")
            status, why = one.ask("/-/ready")
            assert (status, b"disk of the history is full" in why) == (503, True)
            assert filler.stat().st_size > (megabytes - 20) * 1024 * 1024
            shown = {f["code"] for f in one.get("/api/v1/findings?status=open")}
            assert {"rrsig_expired", "self_disk_full"} <= shown

            filler.unlink()
            one.until(lambda: one.ask("/-/ready")[0] == 200, "readiness")
            one.until(lambda: ("resolve", "self_disk_full") in events(), "the end of the full disk")
            assert ("resolve", "rrsig_expired") not in events()
            assert one.end() == 0
        finally:
            lab.stage(lambda world: world.restore("idp.example."))

    with running(config, f"http://127.0.0.1:{port}") as again:
        verdicts = {interval["verdict"] for interval in stored(again)}
        findings = {f["code"]: f for f in again.get("/api/v1/findings")}
        again.until(
            lambda: "self_disk_full" not in {f["code"] for f in again.get("/api/v1/findings?status=open")},
            "the end of the finding on the disk",
        )
        again.until(lambda: ("resolve", "rrsig_expired") in events(), "the end of the incident")
        assert again.end() == 0
    assert {"secure", "bogus"} <= verdicts
    assert {"rrsig_expired", "self_disk_full"} <= findings.keys()
    assert [event for event, code in events() if code == "rrsig_expired"] == ["trigger", "resolve"]
