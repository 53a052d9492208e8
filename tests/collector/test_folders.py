"""Folders and patterns as sources: what is read of them, and that one bad file leaves the others as they are."""

import json
import os
from pathlib import Path

import pytest

from collector.config import InventorySource
from collector.inventory.retention import Acceptance, digest_of_rows
from collector.inventory.sources import InventorySources, load_source
from collector.inventory.store import Store
from collector.inventory.supplies.files import ManyFiles
from schemas.messages import InventorySnapshot, utc


class Folder:
    """A folder as a source, with what is kept of it."""

    def __init__(self, base: Path, **source: object) -> None:
        self.path, self.state = base / "inv", base / "state"
        self.path.mkdir()
        self.source = InventorySource(path=self.path, is_folder=True, **source)  # type: ignore[arg-type]
        self.start()

    def start(self) -> None:
        self.sources = InventorySources([self.source], ("lab",), self.state, clock=lambda: 1.8e9, stopwatch=lambda: 0.0)

    def write(self, name: str, *hosts: str, identity: str = "") -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"identities": [{"id": identity or name, "endpoints": list(hosts)}]}))

    def hosts(self) -> dict[str, list[str]]:
        return {one.id: [e.host for e in one.endpoints] for one in self.sources.load().identities}

    @property
    def stale(self) -> str:
        return self.sources.troubles.get(str(self.path), "")

    @property
    def shrunk(self) -> str:
        return self.sources.shrunk.get(str(self.path), "")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_all_files_below_a_folder_are_one_source(folder: Folder) -> None:
    folder.write("b.json", "b.test")
    folder.write("deep/er/a.json", "a.test")
    (folder.path / "c.txt").write_text("c.test\n")
    (folder.path / "d.csv").write_text("id,endpoints\nd,d.test\n")
    (folder.path / "README.md").write_text("no inventory")
    (folder.path / ".hidden.yaml").write_text("[")

    inventory = folder.sources.load()

    assert inventory.problems == ()
    origins = {one.id: one.endpoints[0].origin for one in inventory.identities}
    assert origins == {"b.json": "b.json", "c.test": "c.txt", "d": "d.csv", "deep/er/a.json": "deep/er/a.json"}


def test_an_identity_in_two_files_has_the_endpoints_of_both(folder: Folder) -> None:
    folder.write("a.json", "a.test", identity="sa")
    folder.write("b.json", "b.test", identity="sa")

    assert folder.hosts() == {"sa": ["a.test", "b.test"]}


@pytest.mark.parametrize("broken", [b"[", b"\xff\xfe\x00", b'{"identities": 7}', b"{" * 5000])
def test_one_bad_file_keeps_its_rows_and_leaves_the_others(folder: Folder, broken: bytes) -> None:
    folder.write("a.json", "a.test", "shared.test")
    folder.write("b.json", "b.test")
    folder.hosts()

    (folder.path / "a.json").write_bytes(broken)
    folder.write("b.json", "b.test", "new.test")
    folder.start()

    assert folder.hosts() == {"a.json": ["a.test", "shared.test"], "b.json": ["b.test", "new.test"]}
    assert "a.json" in folder.stale
    assert "the last good 2 endpoints of it stay watched" in folder.stale


def test_of_an_identity_in_two_files_the_part_of_the_bad_one_stays(folder: Folder) -> None:
    folder.write("a.json", "a.test", identity="sa")
    folder.write("b.json", "b.test", identity="sa")
    folder.hosts()

    (folder.path / "b.json").write_text("{")

    assert sorted(folder.hosts()["sa"]) == ["a.test", "b.test"]
    folder.write("b.json", "c.test", identity="sa")
    assert sorted(folder.hosts()["sa"]) == ["a.test", "c.test"]
    assert not folder.stale


def test_a_bad_file_of_which_nothing_is_known_is_told(folder: Folder) -> None:
    folder.write("a.json", "a.test")
    (folder.path / "b.json").write_text("{")

    assert folder.hosts() == {"a.json": ["a.test"]}
    assert "b.json" in folder.stale
    assert "no earlier version of it is known" in folder.stale


def test_files_that_vanish_are_rows_that_vanish(folder: Folder) -> None:
    for number in range(20):
        folder.write(f"f{number:02}.json", f"h{number}.test")
    folder.hosts()

    (folder.path / "f19.json").unlink()
    assert len(folder.hosts()) == 19
    for number in range(10):
        (folder.path / f"f{number:02}.json").unlink()

    assert len(folder.hosts()) == 19
    assert "from 20 to 9 identities" in folder.shrunk


def test_an_emptied_folder_keeps_its_rows_until_a_person_accepts_it(folder: Folder) -> None:
    folder.write("a.json", "a.test")
    folder.hosts()
    (folder.path / "a.json").unlink()

    assert folder.hosts() == {"a.json": ["a.test"]}
    assert "anchorwatch inventory accept" in folder.shrunk
    rows = load_source(folder.source).identities
    acceptance = Acceptance(digest=digest_of_rows(rows), who="ann", why="moved", at=utc(1.8e9))
    Store(folder.state).accept(str(folder.path), acceptance)
    assert folder.hosts() == {}


def test_a_folder_that_is_gone_keeps_its_rows(folder: Folder) -> None:
    folder.write("a.json", "a.test")
    folder.hosts()
    (folder.path / "a.json").unlink()
    folder.path.rmdir()
    folder.start()

    assert folder.hosts() == {"a.json": ["a.test"]}
    assert "can't be read: No such file or directory" in folder.stale


def test_a_file_renamed_loses_nobody_and_tells_nobody_gone(folder: Folder) -> None:
    folder.write("a.json", "a.test", identity="sa")
    folder.hosts()
    folder.sources.news(0.0)

    (folder.path / "a.json").rename(folder.path / "b.json")

    assert folder.hosts() == {"sa": ["a.test"]}
    assert [one.identity is None for one in folder.sources.news(0.0) if isinstance(one, InventorySnapshot)] == [False]


def test_a_change_in_any_file_is_noticed(folder: Folder) -> None:
    folder.write("deep/a.json", "a.test")
    folder.hosts()
    assert not folder.sources.changed()

    folder.write("deep/b.json", "b.test")
    assert folder.sources.changed()
    folder.hosts()
    os.utime(folder.path / "deep/a.json", ns=(1, 1))
    assert folder.sources.changed()
    folder.hosts()
    (folder.path / "deep/a.json").unlink()
    assert folder.sources.changed()


def test_a_mounted_configmap_is_read_and_links_that_lead_out_are_not(folder: Folder, tmp_path: Path) -> None:
    folder.write("..2026_11/a.json", "a.test")
    (folder.path / "..data").symlink_to("..2026_11")
    (folder.path / "a.json").symlink_to("..data/a.json")
    (tmp_path / "secret.json").write_text('["out.test"]')
    (folder.path / "b.json").symlink_to(tmp_path / "secret.json")
    (folder.path / "c.json").symlink_to("nowhere.json")
    (folder.path / "d").symlink_to("..")
    os.mkfifo(folder.path / "e.json")

    inventory = folder.sources.load()

    assert [e.host for one in inventory.identities for e in one.endpoints] == ["a.test"]
    assert sum("leads out of" in note for note in load_source(folder.source).notes) == 1


def test_a_folder_has_its_bounds(folder: Folder) -> None:
    folder.write("a.json", "a.test")
    folder.write("b.json", "b.test")

    delivery = ManyFiles(folder.path, "", is_every_name_read=False, most_bytes=60).read()

    assert [one.name for one in delivery.documents] == ["a.json"]
    assert "b.json: with it the folder is larger" in delivery.unread[0][1]
    with pytest.raises(ValueError, match="more than 1 files"):
        ManyFiles(folder.path, "", is_every_name_read=False, most_files=1).read()


def test_a_pattern_names_files_hidden_ones_too(tmp_path: Path) -> None:
    for user in ("ann", "bob"):
        home = tmp_path / "home" / user / ".cursor"
        home.mkdir(parents=True)
        (home / "mcp.json").write_text(json.dumps({"mcpServers": {user: {"url": f"https://{user}.test"}}}))
    (tmp_path / "home/ann/.cursor/other.json").write_text("[")

    source = InventorySource(
        path=tmp_path / "home/*/.cursor/mcp.json", root=tmp_path / "home", pattern="*/.cursor/mcp.json"
    )

    inventory = load_source(source)
    assert [one.id for one in inventory.identities] == ["mcp:cursor/ann", "mcp:cursor/bob"]
    assert inventory.identities[0].endpoints[0].origin == "ann/.cursor/mcp.json: server ann"


def test_manifests_of_a_folder_are_read_together(folder: Folder) -> None:
    (folder.path / "ns.yaml").write_text(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: prod, labels: {owner: pay}}\n"
    )
    (folder.path / "svc.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: p, namespace: prod}\n"
        "spec: {type: ExternalName, externalName: a.test}\n"
    )
    (folder.path / "broken.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {\n")

    (identity,) = folder.sources.load().identities

    assert (identity.id, identity.owner, identity.endpoints[0].origin) == ("prod/*", "pay", "svc.yaml: Service prod/p")
    assert "broken.yaml" in folder.stale


def test_a_broken_document_among_manifests_keeps_what_its_object_said(folder: Folder) -> None:
    def service(name: str) -> str:
        return (
            f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: x}}\n"
            f"spec: {{type: ExternalName, externalName: {name}.test}}\n"
        )

    path = folder.path / "all.yaml"
    path.write_text("---\n".join(map(service, "abc")))
    folder.hosts()

    path.write_text("---\n".join([service("a"), "apiVersion: v1\nkind: [\n", service("c")]))

    assert sorted(folder.hosts()["x/*"]) == ["a.test", "b.test", "c.test"]
    assert "what they said stays: all.yaml: Service x/b" in folder.stale


def test_a_name_that_is_not_utf_8_is_spelled_out(folder: Folder) -> None:
    (folder.path / os.fsdecode(b"a\xff.txt")).write_text("a.test\n")
    (folder.path / os.fsdecode(b"b\xff.json")).write_text("[")

    (identity,) = folder.sources.load().identities

    assert identity.endpoints[0].origin == "a\\udcff.txt"
    assert "b\\udcff.json" in folder.stale
