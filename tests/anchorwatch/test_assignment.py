"""How zones are assigned: who has which, what is published, and when an assignment is news."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from kafka.structs import TopicPartition
from publicsuffixlist import PublicSuffixList

from anchorwatch.kafka.active import ActiveAssignor
from anchorwatch.kafka.assignment import longest_gap_s, partition_of
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.membership import Membership
from anchorwatch.kafka.publishing import differences, older_files, versions_of
from anchorwatch.telemetry import Meter
from collector.dnssec import names
from collector.inventory.rows import Inventory
from collector.inventory.sources import FileMark
from collector.polling.registrable import registrable_domain
from schemas.messages import Endpoint, Identity, InventoryFile, InventoryIndex, InventorySnapshot, Message

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SUFFIXES = PublicSuffixList()
ONE, TWO = (TopicPartition("t", number) for number in (1, 2))
VANTAGES = ("corp",)
INDEX = InventoryIndex(seen_at=NOW, ids=None, vantages=VANTAGES)


def identity(key: str, host: str = "api.bank.example") -> Identity:
    return Identity(id=key, endpoints=(Endpoint(host=host),))


def zone(text: str) -> str:
    return registrable_domain(names.from_text(text), SUFFIXES)


def test_names_below_one_registration_are_one_share() -> None:
    assert zone("api.bank.co.uk") == zone("deep.in.www.bank.co.uk") == "bank.co.uk"
    assert zone("com") == "com"
    assert zone("api.bank.example") == zone("bank.example") == "bank.example"


def test_with_the_defaults_a_killed_collector_costs_less_than_two_intervals() -> None:
    assert longest_gap_s(60, KafkaConfig(brokers=("h:1",)).session_timeout_s) < 120
    assert longest_gap_s(10, 10) > 20, "which is said at the start"


def test_shares_are_the_same_for_ever_and_even() -> None:
    counted = Counter(partition_of(f"zone{number}.example", 12) for number in range(12_000))

    assert partition_of("bank.example", 12) == 5
    assert set(counted) == set(range(12))
    assert max(counted.values()) < 1.2 * min(counted.values())


def told(*identities: Identity, known: dict[str, Identity | None], complete: bool = True) -> list[tuple[str, bool]]:
    news = differences(Inventory(identities), known, INDEX, VANTAGES, complete=complete, now=NOW)
    return [(one.id, one.identity is not None) for one in news if isinstance(one, InventorySnapshot)]


def test_what_differs_is_published_and_nothing_else() -> None:
    known = {"same": identity("same"), "moved": identity("moved"), "gone": identity("gone"), "old": None}

    moved = identity("moved", "www.bank.example")
    news = told(identity("same"), moved, identity("new"), known=known)

    assert news == [("moved", True), ("new", True), ("gone", False)]


def test_of_files_that_can_not_be_read_nobody_is_gone() -> None:
    assert told(known={"sa": identity("sa")}, complete=False) == []


def file(seconds: int, digest: str = "d", by: str = "/collector/two") -> InventoryFile:
    return InventoryFile(digest=digest, written_at=NOW + timedelta(seconds=seconds), by=by)


def test_an_older_file_publishes_nothing_and_a_newer_one_does() -> None:
    index = InventoryIndex(seen_at=NOW, ids=None, vantages=VANTAGES, files={"a.yaml": file(0, "theirs")})

    older = older_files({"a.yaml": file(-1, "ours"), "b.yaml": file(-9)}, index)
    assert list(older) == ["a.yaml"]
    assert older["a.yaml"].startswith(
        "a.yaml: this collector's file was written at 2026-11-23 23:59:59 UTC, and /collector/two published one that"
        " was written at 2026-11-24 00:00:00 UTC."
    )
    for same_or_newer in (file(-1, "theirs"), file(0, "ours"), file(1, "ours")):
        assert older_files({"a.yaml": same_or_newer}, index) == {}
    assert older_files({"a.yaml": file(-1, "ours")}, None) == {}


def test_of_an_older_file_nobody_is_new_changed_or_gone() -> None:
    """The collector with the old file took share 0: a zone that burns must not count as healed."""
    known: dict[str, Identity | None] = {
        "gone": identity("gone"),
        "moved": identity("moved"),
        "other": identity("other"),
    }
    ours = Inventory((identity("moved", "old.bank.example"), identity("new")))
    sources = dict.fromkeys(("gone", "moved", "new"), "a.yaml") | {"other": "b.yaml"}

    news = differences(
        ours, known, INDEX, VANTAGES, complete=True, now=NOW, sources=sources, withheld={"a.yaml": "it is older"}
    )

    assert [(one.id, one.identity) for one in news if isinstance(one, InventorySnapshot)] == [("other", None)]


def test_the_versions_of_files_are_published_when_they_change_and_those_of_others_stay() -> None:
    index = InventoryIndex(seen_at=NOW, ids=None, vantages=VANTAGES, files={"a.yaml": file(0), "b.yaml": file(0)})

    def published(**files: InventoryFile) -> list[Message]:
        named = {f"{name}.yaml": one for name, one in files.items()}
        return differences(Inventory(), {}, index, VANTAGES, complete=True, now=NOW, files=named)

    assert published(a=file(0), b=file(-5)) == []
    (news,) = published(a=file(9, "new"))
    assert isinstance(news, InventoryIndex)
    assert news.files == {"a.yaml": file(9, "new"), "b.yaml": file(0)}


def test_a_file_from_the_future_counts_as_written_now() -> None:
    mark = FileMark(digest="d", mtime_ns=int((NOW.timestamp() + 10**9) * 1e9))

    assert versions_of({"a.yaml": mark}, "/collector/one", NOW) == {"a.yaml": file(0, by="/collector/one")}


def test_other_vantages_are_news() -> None:
    (news,) = differences(Inventory(), {}, INDEX, ("other",), complete=True, now=NOW)

    assert isinstance(news, InventoryIndex)
    assert (news.vantages, news.ids) == (("other",), None)


def test_a_share_that_stays_over_a_rebalance_is_not_gained_and_one_that_was_lost_is() -> None:
    member = Membership("stage", Meter())
    member.on_partitions_assigned([ONE])
    assert (member.gained, member.take_news(), member.take_news()) == (True, True, False)

    member.gained = False
    member.on_partitions_revoked([ONE])
    assert (member.owned, member.held) == (set(), frozenset({ONE}))
    member.on_partitions_assigned([ONE])
    assert not member.gained
    member.on_partitions_revoked([ONE])
    member.on_partitions_assigned([])
    member.on_partitions_assigned([ONE])
    assert member.gained, "somebody else had it meanwhile"

    member.gained = False
    member.on_partitions_lost([ONE])
    assert (member.owned, member.held) == (set(), frozenset())
    member.on_partitions_assigned([ONE, TWO])
    assert member.gained


def test_one_member_has_everything_and_keeps_it() -> None:
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: {0, 1})

    def joined(name: str, assignor: ActiveAssignor) -> SimpleNamespace:
        return SimpleNamespace(member_id=name, metadata=assignor.metadata(["t"]))

    first, second = ActiveAssignor(), ActiveAssignor()
    shares = first.assign(cluster, [joined("z", first)])
    first.on_assignment(shares["z"], 1)
    shares = second.assign(cluster, [joined("a", second), joined("z", first)])

    assert {name: len(share.partitions()) for name, share in shares.items()} == {"a": 0, "z": 2}


def test_who_was_away_does_not_take_the_work_back() -> None:
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: {0})
    away, active, newcomer = ActiveAssignor(), ActiveAssignor(), ActiveAssignor()
    members = {"a-newcomer": newcomer, "b-away": away, "c-active": active}

    def shared_out(generation: int, *names: str) -> list[str]:
        joined = [SimpleNamespace(member_id=name, metadata=members[name].metadata(["t"])) for name in names]
        shares = active.assign(cluster, joined)
        for name in names:
            members[name].on_assignment(shares[name], generation)
        return [name for name, share in shares.items() if share.partitions()]

    assert shared_out(1, "b-away") == ["b-away"]
    assert shared_out(2, "c-active") == ["c-active"], "the other was frozen"
    assert shared_out(3, "a-newcomer", "b-away", "c-active") == ["c-active"]
    assert shared_out(4, "a-newcomer", "b-away") == ["b-away"], "rather than one that never was active"


def test_who_stands_by_takes_over_and_not_who_has_just_ended_and_is_started_again() -> None:
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: {0})
    standing_by, again = ActiveAssignor(), ActiveAssignor()
    standing_by.on_assignment(SimpleNamespace(partitions=list), 7)
    joined = [
        SimpleNamespace(member_id="a-again", metadata=again.metadata(["t"])),
        SimpleNamespace(member_id="z-standing-by", metadata=standing_by.metadata(["t"])),
    ]

    shares = again.assign(cluster, joined)

    assert [name for name, share in shares.items() if share.partitions()] == ["z-standing-by"]


@pytest.mark.parametrize("said", [b"", b"7", b"x y", b"-1 2", b"1 2 3", "٣ 4".encode()])
def test_what_a_member_says_in_another_way_ranks_it_as_a_newcomer(said: bytes) -> None:
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: {0})
    standing_by = ActiveAssignor()
    standing_by.on_assignment(SimpleNamespace(partitions=list), 7)
    joined = [
        SimpleNamespace(member_id="a", metadata=SimpleNamespace(user_data=said, topics=["t"])),
        SimpleNamespace(member_id="z", metadata=standing_by.metadata(["t"])),
    ]

    assert len(standing_by.assign(cluster, joined)["z"].partitions()) == 1


def test_a_share_that_stays_is_gained_when_the_group_shared_out_without_us() -> None:
    generation = [1]
    member = Membership("stage", Meter(), lambda: generation[0])
    member.on_partitions_assigned([ONE])
    member.gained = False

    generation[0] = 2
    member.on_partitions_revoked([ONE])
    member.on_partitions_assigned([ONE])
    assert not member.gained

    generation[0] = 4
    member.on_partitions_revoked([ONE])
    member.on_partitions_assigned([ONE])
    assert member.gained, "in generation 3 it was somebody else's"
