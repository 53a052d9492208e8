"""The file of events: whole lines only, stored before they count, whatever the disk and other processes do."""

import json
import os
import resource
from pathlib import Path

import msgspec
import pytest

from alerts.delivery.delivery import Delivery, delivery_of
from alerts.receivers.exchange import Line
from alerts.receivers.file import File, FileNotifier
from tests.alerts.test_ocsf import order_of
from tests.support.findings import finding


def delivery(name: str = "a") -> Delivery:
    return msgspec.structs.replace(delivery_of(order_of(finding(id=name * 32))), id=name)


def uids(path: Path) -> list[str]:
    return [json.loads(line)["metadata"]["uid"] for line in path.read_text().splitlines()]


def test_events_are_lines_that_others_may_not_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    notifier = File(name="siem", path=str(path)).make_notifier(Line())

    assert all(notifier.send(delivery(name), 0.0).delivered for name in "abc")
    assert uids(path) == ["a", "b", "c"]
    assert path.stat().st_mode & 0o007 == 0


def test_a_line_is_stored_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[int] = []
    path = tmp_path / "events.jsonl"
    sync = os.fsync

    def note(file: int) -> None:
        sync(file)
        stored.append(os.fstat(file).st_ino)

    monkeypatch.setattr(os, "fsync", note)

    assert FileNotifier(path).send(delivery(), 0.0).delivered
    assert stored == [path.stat().st_ino, tmp_path.stat().st_ino], "the line, and the name of the new file"


def test_a_full_disk_leaves_no_half_line_and_the_event_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    notifier = FileNotifier(path)
    notifier.send(delivery("a"), 0.0)
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        outcome = notifier.send(delivery("b"), 0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert (outcome.delivered, outcome.retry) == (False, True)
    assert path.stat().st_size == size
    assert notifier.send(delivery("b"), 0.0).delivered
    assert uids(path) == ["a", "b"]


def test_a_disk_with_no_room_at_all_is_said(tmp_path: Path) -> None:
    outcome = FileNotifier(Path("/dev/full")).send(delivery(), 0.0)

    assert (outcome.delivered, outcome.retry) == (False, True)
    assert "No space left on device" in outcome.detail


@pytest.mark.parametrize("torn", ['{"activity_id":1,"metad', '{"a":1}\n{"activ'])
def test_what_a_crash_left_of_a_line_is_cut_off(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(torn)

    FileNotifier(path).send(delivery("b"), 0.0)

    assert [json.loads(line) for line in path.read_text().splitlines()][-1]["metadata"]["uid"] == "b"
    assert path.read_text().startswith('{"a":1}\n') is ("\n" in torn)


def test_a_file_that_others_rename_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    notifier = FileNotifier(path)
    notifier.send(delivery("a"), 0.0)
    path.rename(tmp_path / "events.jsonl.1")
    notifier.send(delivery("b"), 0.0)

    assert (uids(tmp_path / "events.jsonl.1"), uids(path)) == (["a"], ["b"])


def test_a_file_that_is_large_enough_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    FileNotifier(path).send(delivery("x"), 0.0)
    notifier = FileNotifier(path, max_bytes=int(path.stat().st_size * 2.5), keep=2)
    for name in "abcdefg":
        assert notifier.send(delivery(name), 0.0).delivered

    kept = [uids(one) for one in (tmp_path / "events.jsonl.2", tmp_path / "events.jsonl.1", path)]
    assert kept == [["b", "c"], ["d", "e"], ["f", "g"]]
    assert not (tmp_path / "events.jsonl.3").exists()


def test_two_processes_write_whole_lines_while_the_file_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    size = len(msgspec.json.encode({})) + 20_000
    children = []
    for name in "ab":
        if (child := os.fork()) == 0:
            notifier = FileNotifier(path, max_bytes=size, keep=50)
            done = all(notifier.send(delivery(name), 0.0).delivered for _ in range(40))
            os._exit(0 if done else 1)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]

    lines = [uid for one in tmp_path.iterdir() for uid in uids(one)]
    assert statuses == [0, 0]
    assert sorted(lines) == ["a"] * 40 + ["b"] * 40


def test_a_folder_that_may_not_be_written_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = FileNotifier(tmp_path / "file" / "events.jsonl").send(delivery(), 0.0)

    assert not outcome.delivered
    assert "Not a directory" in outcome.detail
