"""Less is suspicious: what a source says replaces its last good rows only if it lost little, or was accepted."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.config import InventorySource
from collector.inventory.retention import Acceptance, digest_of_rows
from collector.inventory.sources import InventorySources, load_source
from collector.inventory.store import Store
from schemas.messages import InventoryIndex, InventorySnapshot, utc

HEADER = "id,kind,owner,environment,criticality,endpoints\n"
HOUR = 3600.0
DAY = 24 * HOUR


def rows(*numbers: int, critical: tuple[int, ...] = ()) -> str:
    return HEADER + "".join(
        f"sa-{n:02},workload,team-{n},prod,{'critical' if n in critical else 'low'},h{n}.example\n" for n in numbers
    )


class World:
    """A file, a folder of what is kept, and two clocks, of processes that come and go."""

    def __init__(self, folder: Path, **source: Any) -> None:
        self.path, self.folder = folder / "inv.csv", folder / "data" / "inventory-state"
        self.source = InventorySource(path=self.path, format="csv", **source)
        self.others: list[InventorySource] = []
        self.now = 1_800_000_000.0
        self.written = 0
        self.start()

    def start(self) -> None:
        clock: Callable[[], float] = lambda: self.now  # noqa: E731 - a clock is a function
        self.sources = InventorySources(
            [self.source, *self.others], ("lab",), self.folder, clock=clock, stopwatch=lambda: self.now
        )

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self.written += 1
        os.utime(self.path, ns=(self.written, self.written))

    def ids(self) -> list[str]:
        return [identity.id for identity in self.sources.load().identities]

    def says(self, text: str) -> list[str]:
        self.write(text)
        return self.ids()

    def wait(self, seconds: float, step: float = 300.0) -> None:
        """Let time pass as the collector does: it looks, and loads when something changed."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + step, until)
            if self.sources.changed():
                self.sources.load()

    @property
    def shrunk(self) -> str:
        return self.sources.shrunk.get(str(self.path), "")

    @property
    def stale(self) -> str:
        return self.sources.troubles.get(str(self.path), "")

    def accept(self) -> None:
        digest = digest_of_rows(load_source(self.source).identities)
        one = Acceptance(digest=digest, who="ann", why="decommissioned", at=utc(self.now))
        Store(self.folder).accept(str(self.path), one)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("empty", ["", HEADER, HEADER + ",,,,,\n", HEADER + "sa-01,,,,,\n"], ids=range(4))
def test_an_empty_source_keeps_its_last_good_rows_and_is_told(tmp_path: Path, empty: str) -> None:
    world = World(tmp_path, accept_after_s=HOUR)
    world.says(rows(1))

    assert world.says(empty) == ["sa-01"]
    world.wait(5 * HOUR)
    assert world.ids() == ["sa-01"], "time never accepts an empty source"
    assert str(world.path) in world.shrunk
    assert "sa-01 (owner team-1, criticality low)" in world.shrunk
    assert "anchorwatch inventory accept" in world.shrunk


@pytest.mark.parametrize("text", ["identities: []\n", "identities:\n", "[]\n"])
def test_empty_yaml_is_empty_too(tmp_path: Path, text: str) -> None:
    path = tmp_path / "inv.yaml"
    path.write_text("identities: [{id: sa, endpoints: [a.example]}]\n")
    sources = InventorySources([InventorySource(path=path, format="yaml")], ("lab",))
    sources.load()

    path.write_text(text)

    assert [one.id for one in sources.load().identities] == ["sa"]
    assert sources.shrunk[str(path)]


def test_a_source_that_lost_more_than_its_bound_keeps_all_of_it_over_restarts(world: World) -> None:
    world.says(rows(*range(10)))
    assert len(world.says(rows(*range(7)))) == 10

    world.start()

    assert len(world.ids()) == 10
    assert "from 10 to 7" in world.shrunk
    assert world.sources.is_complete


def test_small_losses_are_believed_at_once(world: World) -> None:
    world.says(rows(*range(10)))

    assert len(world.says(rows(*range(8)))) == 8
    assert not world.shrunk
    world.says(rows(1, 2))
    world.start()
    assert len(world.says(rows(1))) == 8, "the loss of eight is another matter"


def test_fewer_than_three_rows_are_no_loss_however_small_the_source(world: World) -> None:
    world.says(rows(1, 2, 3))

    assert world.says(rows(1)) == ["sa-01"]
    assert not world.shrunk


def test_rows_that_trickle_away_within_seven_days_count_together(world: World) -> None:
    world.says(rows(*range(20)))
    for day in range(1, 5):
        world.now += DAY
        assert len(world.says(rows(*range(20 - day)))) == 20 - day

    world.now += DAY

    assert len(world.says(rows(*range(15)))) == 16
    assert "from 20 to 15" in world.shrunk


def test_a_maximum_older_than_seven_days_counts_no_more(world: World) -> None:
    world.says(rows(*range(20)))
    world.says(rows(*range(17)))
    world.now += 9 * DAY
    world.says(rows(*range(17)))

    assert len(world.says(rows(*range(14)))) == 14


def test_rows_that_were_swapped_for_others_are_lost(world: World) -> None:
    world.says(rows(*range(10)))

    assert world.says(rows(*range(20, 30))) == [f"sa-{n:02}" for n in range(10)]
    assert "sa-00" in world.shrunk


def test_hosts_that_vanish_from_rows_that_stay_are_lost(world: World) -> None:
    many = HEADER + "sa,workload,ops,prod,high," + " ".join(f"h{n}.example" for n in range(20)) + "\n"
    world.says(many)

    world.says(HEADER + "sa,workload,ops,prod,high,h1.example\n")

    assert len(world.sources.load().identities[0].endpoints) == 20
    assert "19 hosts" in world.shrunk


def test_rows_that_moved_to_another_source_are_not_lost(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(HEADER)
    world.others = [InventorySource(path=other, format="csv")]
    world.start()
    world.says(rows(*range(10)))
    other.write_text(rows(*range(8)))

    assert len(world.says(rows(8, 9))) == 10
    assert not world.shrunk


def test_a_loss_that_stayed_the_same_is_accepted_after_its_time(tmp_path: Path) -> None:
    world = World(tmp_path, accept_after_s=2 * HOUR)
    world.says(rows(*range(10)))
    world.says(rows(*range(5)))

    world.wait(1.8 * HOUR)
    assert len(world.ids()) == 10
    world.start()
    world.wait(0.4 * HOUR)

    assert len(world.ids()) == 5
    assert not world.shrunk


def test_a_loss_that_changed_meanwhile_waits_anew(tmp_path: Path) -> None:
    world = World(tmp_path, accept_after_s=2 * HOUR)
    world.says(rows(*range(10)))
    world.says(rows(*range(5)))
    world.wait(1.8 * HOUR)
    world.says(rows(*range(4)))

    world.wait(HOUR)

    assert len(world.ids()) == 10


def test_a_clock_set_forward_accepts_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.says(rows(*range(10)))
    world.says(rows(*range(5)))
    world.sources._clock = lambda: world.now + 400 * DAY

    assert len(world.ids()) == 10


def test_time_never_accepts_the_loss_of_a_critical_identity(tmp_path: Path) -> None:
    world = World(tmp_path, accept_after_s=HOUR)
    world.says(rows(*range(10), critical=(9,)))
    world.says(rows(*range(5)))

    world.wait(5 * HOUR)

    assert len(world.ids()) == 10
    assert "sa-09 (owner team-9, criticality critical)" in world.shrunk
    assert "1 of them critical" in world.shrunk


def test_a_person_accepts_what_they_saw_and_nothing_else(world: World) -> None:
    world.says(rows(*range(10), critical=(9,)))
    world.says(rows(*range(5)))
    world.accept()
    world.write(rows(1))

    assert len(world.ids()) == 10, "the file changed after the person looked"
    world.write(rows(*range(5)))
    assert world.sources.changed()
    assert len(world.ids()) == 5
    assert not world.shrunk
    kept = Store(world.folder).load(str(world.path))
    assert [(one.who, one.why) for one in kept.acceptances] == [("ann", "decommissioned")]


def test_an_empty_source_is_gone_once_a_person_accepted_it(world: World) -> None:
    world.says(rows(1))
    world.says(HEADER)

    world.accept()

    assert world.ids() == []
    assert world.sources.is_complete
    assert not world.shrunk


def test_an_acceptance_of_long_ago_accepts_no_new_loss(world: World) -> None:
    world.says(rows(*range(10)))
    world.says(rows(1))
    world.accept()
    world.ids()
    world.says(rows(*range(10)))
    Store(world.folder).acceptance_file(str(world.path)).unlink()  # type: ignore[union-attr]

    assert len(world.says(rows(1))) == 10


def test_an_empty_source_of_which_nothing_is_known_is_told_and_nobody_is_gone(world: World) -> None:
    world.says(HEADER)

    (index,) = [one for one in world.sources.news(world.now) if isinstance(one, InventoryIndex)]
    assert index.ids is None
    assert "nothing is watched" in world.shrunk


@pytest.mark.parametrize("broken", ['id,endpoints\n"', "\0\0\0", None], ids=["not csv", "not text", "gone"])
def test_a_file_that_can_not_be_read_keeps_its_rows_over_restarts(world: World, broken: str | None) -> None:
    world.says(rows(1, 2))
    if broken is None:
        world.path.unlink()
    else:
        world.write(broken)

    world.start()

    assert world.ids() == ["sa-01", "sa-02"]
    assert world.stale
    assert world.sources.is_complete


def test_a_loss_that_can_not_be_read_any_more_is_not_over(world: World) -> None:
    world.says(rows(*range(10)))
    world.says(rows(1))
    world.path.unlink()
    world.start()

    assert len(world.ids()) == 10
    assert "lost rows" in world.shrunk


def test_a_row_that_breaks_keeps_its_last_good_version_by_its_id_over_restarts(world: World) -> None:
    world.says(rows(1, 2, 3, critical=(2,)))

    world.write(rows(3, 2, 1).replace("workload,team-2", "robot,team-2"))
    world.start()

    inventory = world.sources.load()
    assert [one.endpoints[0].host for one in inventory.identities] == ["h1.example", "h2.example", "h3.example"]
    assert "inv.csv:3" in world.stale
    assert "sa-02 (owner team-2, criticality critical)" in world.stale


def test_an_endpoint_that_breaks_stays_as_it_was(world: World) -> None:
    world.says(rows(1, 2))

    world.says(rows(1, 2).replace("h2.example", "h2..example new.example"))

    hosts = [endpoint.host for one in world.sources.load().identities for endpoint in one.endpoints]
    assert hosts == ["h1.example", "new.example", "h2.example"]
    assert "sa-02 (owner team-2" in world.stale


def test_where_an_id_can_not_be_read_the_missing_row_stays(world: World) -> None:
    world.says(rows(1, 2, 3))

    assert world.says(rows(1, 2, 3).replace("sa-02", "")) == ["sa-01", "sa-02", "sa-03"]
    assert "one of these may be meant" in world.stale
    assert "sa-02" in world.stale


def test_many_rows_without_an_id_are_a_loss(world: World) -> None:
    world.says(rows(*range(10)))

    assert len(world.says(HEADER + "sa-00,,,,,h0.example\n,,,,,x.example\n")) == 10
    assert "from 10 to 1" in world.shrunk


def test_who_leaves_is_told_with_the_file_also_after_a_restart(world: World) -> None:
    world.says(rows(*range(10)))
    world.sources.news(world.now)
    world.start()
    world.says(rows(*range(9)))

    gone = [
        (one.id, one.source)
        for one in world.sources.news(world.now)
        if isinstance(one, InventorySnapshot) and one.identity is None
    ]

    assert gone == [("sa-09", str(world.path))]


def test_damaged_rows_on_disk_are_told_and_the_file_counts(world: World) -> None:
    world.says(rows(1))
    (kept,) = world.folder.glob("*.json")
    kept.write_text("{")

    world.start()

    assert world.ids() == ["sa-01"]
    assert "damaged" in world.stale


def test_a_folder_that_can_not_be_written_is_told_and_the_watch_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in the place of the folder")
    world = World(tmp_path)

    assert world.says(rows(1)) == ["sa-01"]
    assert "can't be written" in world.stale
    (tmp_path / "data").unlink()
    world.says(rows(1, 2))
    world.start()
    assert world.says(HEADER) == ["sa-01", "sa-02"]


def test_what_other_processes_told_is_kept_where_nothing_is_on_disk(world: World, tmp_path: Path) -> None:
    world.says(rows(*range(10)))
    told = load_source(world.source).identities
    (tmp_path / "elsewhere").mkdir()
    fresh = World(tmp_path / "elsewhere")
    fresh.write(HEADER)

    fresh.sources.adopt({str(fresh.path): told})

    assert len(fresh.ids()) == 10
    assert fresh.shrunk


def test_each_file_has_its_mark(world: World) -> None:
    world.says(rows(1))
    first = world.sources.marks[str(world.path)]
    world.says(rows(1, 2))

    assert world.sources.marks[str(world.path)] != first
    kept = Store(world.folder).load(str(world.path))
    assert kept.file_digest == world.sources.marks[str(world.path)].digest


def test_what_is_kept_is_decoded_by_a_later_version(world: World) -> None:
    world.says(rows(1))
    (file,) = world.folder.glob("*.json")
    document = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**document, "from_the_future": 1}))

    assert Store(world.folder).load(str(world.path)).is_known
