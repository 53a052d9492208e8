"""The first configuration: that ``run`` takes it, that nothing is written over, and what is asked."""

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from anchorwatch.configuration.loading import load_config
from anchorwatch.diagnosis.draft import Draft, write_config
from anchorwatch.diagnosis.sights import Sight
from tests.support.running import COMMAND, Lab, call, environment


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    one = Lab(tmp_path)
    yield one
    one.close()


def test_what_init_writes_is_what_run_takes(tmp_path: Path, lab: Lab) -> None:
    done = call("init", *lab.options, folder=tmp_path)  # standard input is no terminal

    assert done.returncode == 0, done.stderr
    config = load_config(tmp_path / "anchorwatch.yaml")
    assert [one.address.to_url() for one in config.collector.vantages] == [lab.url]
    assert config.collector.anchors.texts == lab.world.anchors.texts
    assert config.warnings == ()
    text = (tmp_path / "anchorwatch.yaml").read_text()
    assert "hands DNSSEC records on; keeps CD; validates for its clients" in text
    checked = call("run", "--check-config", "--online", "anchorwatch.yaml", folder=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 identities, 1 hosts" in checked.stdout


def test_an_inventory_that_is_misspelt_is_no_wish_for_an_example(tmp_path: Path, lab: Lab) -> None:
    done = call("init", *lab.options, "--inventory", "acounts.csv", "--yes", folder=tmp_path)

    assert done.returncode == 1
    assert "there is no acounts.csv: name an inventory that is there" in done.stderr
    assert not (tmp_path / "acounts.csv").exists()
    assert not (tmp_path / "anchorwatch.yaml").exists()


def test_what_is_there_is_not_written_over(tmp_path: Path, lab: Lab) -> None:
    (tmp_path / "anchorwatch.yaml").write_text("mine")
    (tmp_path / "accounts.csv").write_text("id,endpoints\nsa,api.example\n")

    refused = call("init", *lab.options, "--yes", folder=tmp_path)
    assert refused.returncode == 1
    assert "is there already: name another file, or write over it with --force" in refused.stderr
    assert (tmp_path / "anchorwatch.yaml").read_text() == "mine"

    done = call("init", *lab.options, "--yes", "--force", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "accounts.csv").read_text() == "id,endpoints\nsa,api.example\n"
    assert [one.path.name for one in load_config(tmp_path / "anchorwatch.yaml").collector.sources] == ["accounts.csv"]


def test_an_inventory_that_cannot_be_used_leaves_nothing_behind(tmp_path: Path, lab: Lab) -> None:
    (tmp_path / "accounts.xlsx").write_text("x")

    done = call("init", *lab.options, "--inventory", "accounts.xlsx", folder=tmp_path)

    assert done.returncode == 2
    assert "say 'format: yaml'" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accounts.xlsx", "root.ds"]


def test_a_link_to_nowhere_is_no_file_to_write(tmp_path: Path, lab: Lab) -> None:
    (tmp_path / "anchorwatch.yaml").symlink_to(tmp_path / "elsewhere")

    assert call("init", *lab.options, folder=tmp_path).returncode == 1
    assert not (tmp_path / "elsewhere").exists()


def test_paths_are_relative_to_the_configuration(tmp_path: Path, lab: Lab) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "hosts.txt").write_text("api.example\n")

    done = call("init", *lab.options, "etc/a.yaml", "--inventory", "hosts.txt", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((tmp_path / "etc/a.yaml").read_text())["inventory"] == [{"path": "../hosts.txt"}]


def test_on_a_terminal_at_most_three_questions_are_asked_each_with_a_default(tmp_path: Path, lab: Lab) -> None:
    (tmp_path / "hosts.txt").write_text("api.example\n")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "init", *lab.options],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment(),
    )
    os.close(theirs)
    os.write(ours, b"\nhttps://hooks.example/in\n\n")

    _, said = process.communicate(timeout=60)
    os.close(ours)

    assert process.returncode == 0, said
    assert said.count("]: ") + said.count("or nothing: ") == 3
    written = yaml.safe_load((tmp_path / "anchorwatch.yaml").read_text())
    assert written["inventory"] == [{"path": "hosts.txt"}]
    assert written["receivers"][1]["url"] == "https://hooks.example/in"
    assert written["history"] == {"url": "chdb:data"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere/a.yaml",), "there is no folder nowhere: make it first"),
        (("--inventory", "nowhere/a.csv"), "there is no folder nowhere: make it first"),
        (("--hook", "ftp://x"), "begins with https:// (or http://) and names a host"),
        (("--resolver", "ftp://x"), "a resolver's URL begins with udp://"),
    ],
)
def test_errors_say_what_to_do(tmp_path: Path, lab: Lab, words: tuple[str, ...], said: str) -> None:
    done = call("init", *lab.options, *words, folder=tmp_path)

    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_resolver_that_can_do_nothing_is_written_down_as_such(tmp_path: Path) -> None:
    seen = Sight(name="x", url="udp://192.0.2.1:53", answered=True, signed=False, cd_kept=False, claims_ad=False)
    strange = [seen, Sight(name="y", url="udp://192.0.2.1:54"), Sight(name="z", url="udp://[fe80::1%eth0]:53")]
    text = write_config(Draft(inventory='a "b".csv', sights=strange, history="data"))
    (tmp_path / 'a "b".csv').write_text("id,endpoints\nsa,api.example\n")
    (tmp_path / "a.yaml").write_text(text)

    config = load_config(tmp_path / "a.yaml")

    assert len({one.name for one in config.collector.vantages}) == 3
    assert "DROPS DNSSEC RECORDS" in text
    assert '"authoritative:"' in text
