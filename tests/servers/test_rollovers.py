"""Keys rolled over by the servers that sign, and a parent that follows them, in seconds: all of it at one time.

Knot and BIND decide by themselves when a step is due. What the analyzer foretells is held against what they did.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from analyzer.analysis import Analysis
from analyzer.batch import Knowledge
from analyzer.detected import Drift
from schemas.catalogue import Severity
from schemas.messages import Finding
from tests.support.daemons import until
from tests.support.diary import Diary
from tests.support.onlooker import Onlooker
from tests.support.registry import Registry
from tests.support.rolling import AUTHORITATIVE, CACHE, FOLLOWED, STORIES, VANTAGES, ZONES, Harbour, asked_for
from tests.support.signers import Signers, missing_tools

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.xdist_group("rollovers")]

NEEDED = "needs BIND, Knot and Unbound: apt-get install bind9 bind9-dnsutils bind9-utils knot unbound"
NOT_PAGING = {Severity.INFO, Severity.LOW}


@pytest.fixture(scope="module")
def harbour() -> Iterator[Harbour]:
    missing = missing_tools()
    if missing:
        pytest.skip(f"{NEEDED} (missing: {', '.join(missing)})")
    folder = Path(tempfile.mkdtemp(prefix="anchorwatch-"))
    signers = Signers(folder, ZONES)
    try:
        signers.start()
        diary, registry, watch = Diary(signers), Registry(signers, folder, FOLLOWED), Onlooker(signers.config())
        try:
            yield Harbour(signers, diary, registry, watch)
        finally:
            registry.close()
            diary.close()
            watch.close()
    finally:
        signers.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def stories(harbour: Harbour) -> Iterator[dict[str, Future[None]]]:
    """Everything under way, begun once each zone is seen to be secure from everywhere."""

    def is_known(zone: str) -> bool:
        return all(harbour.watch.verdicts(zone, vantage) == ["secure"] for vantage in VANTAGES)

    until(lambda: all(map(is_known, ZONES)), "every zone is secure through each vantage")
    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {zone: pool.submit(story, harbour, zone) for zone, story in STORIES.items()}


# rollovers that wait as they should

PUBLISHED, POINTED_AT, SIGNS, WITHDRAWN, ENDED = "published", "pointed at", "signs", "withdrawn", "signs no more"
ZSK_ROLL = [
    ("zsk_prepublish", PUBLISHED, "ZSK", "sign with ZSK"),
    ("zsk_prepublish", SIGNS, "", "withdraw ZSK"),
    ("zsk_prepublish", WITHDRAWN, "ZSK", ""),
]
KSK_ROLL = [
    ("ksk_double_key", PUBLISHED, "KSK", "publish the DS of KSK"),
    ("ksk_double_key", POINTED_AT, "", "withdraw KSK"),
    ("ksk_double_key", WITHDRAWN, "KSK", ""),
]
ALGORITHM_ROLL = [
    ("algorithm_conservative", PUBLISHED, "KSK ZSK", "publish the DS of KSK"),
    ("algorithm_conservative", POINTED_AT, "", "withdraw KSK"),
    ("algorithm_conservative", WITHDRAWN, "KSK ZSK", ""),
]
# RFC 6781 §4.1.4: Knot keeps the old signatures until no cache has the old key set.
KNOT_ALGORITHM_ROLL = [
    *ALGORITHM_ROLL[:-1],
    ("algorithm_conservative", WITHDRAWN, "KSK ZSK", "sign without key"),
    ("algorithm_conservative", ENDED, "", ""),
]
SAFE = {
    "knot-zsk.quay.": ZSK_ROLL,
    "knot-ksk.quay.": KSK_ROLL,
    "knot-algorithm.quay.": KNOT_ALGORITHM_ROLL,
    "bind-zsk.quay.": ZSK_ROLL,
    "bind-ksk.quay.": KSK_ROLL,
    "bind-algorithm.quay.": ALGORITHM_ROLL,
    "bind-cds.quay.": KSK_ROLL,
}
# BIND publishes keys and signs by them, and takes both away, at once: who asks in between sees one before the other.
AT_ONCE = {"bind-algorithm.quay.": (SIGNS, ENDED)}
KEY = re.compile(r"(KSK|ZSK) (\d+)")


def stage_of(drift: Drift) -> tuple[str, str, str, str]:
    """Return the kind of a rollover, its stage, the roles of the keys that came or went, and the first next step."""
    said, _, follows = drift.detail.partition("; ")
    _, kind, what = said.split(": ", 2)
    step = re.match(r"next: (.*?) \d+", follows)
    after = step.group(1) if step is not None else follows.removeprefix("the rollover is complete")
    if what.startswith("DS "):
        return kind, POINTED_AT, "", after
    if what.startswith("data are signed by "):
        return kind, ENDED if what.endswith("no more") else SIGNS, "", after
    old, new = (set(KEY.findall(side)) for side in what.split(" → "))
    roles = " ".join(sorted(role for role, _ in old ^ new))
    assert old < new or new < old, drift.detail
    return kind, PUBLISHED if old < new else WITHDRAWN, roles, after


@pytest.mark.parametrize("zone", SAFE)
def test_each_stage_of_a_rollover_is_named_in_its_order_with_what_comes_next(
    harbour: Harbour, stories: dict[str, Future[None]], zone: str
) -> None:
    stories[zone].result()
    harbour.until_complete(zone)

    for vantage in VANTAGES:
        drifts = [drift for _, drift in harbour.watch.drifts(zone, vantage)]
        assert {one.code for one in drifts} == {"key_rollover"}
        stages = [stage for stage in map(stage_of, drifts) if stage[1] not in AT_ONCE.get(zone, ())]
        if zone in AT_ONCE:
            assert [stage[:3] for stage in stages] == [stage[:3] for stage in SAFE[zone]], vantage
            assert [stage[3] for stage in stages[:-1]] == [stage[3] for stage in SAFE[zone][:-1]], vantage
        else:
            assert stages == SAFE[zone], vantage


@pytest.mark.parametrize("zone", SAFE)
def test_no_step_is_foretold_for_later_than_the_signer_takes_it(
    harbour: Harbour, stories: dict[str, Future[None]], zone: str
) -> None:
    stories[zone].result()
    harbour.until_complete(zone)

    for vantage in VANTAGES:
        foretold, late_s = harbour.watch.predictions(zone, vantage), harbour.watch.longest_pause_s(zone, vantage)
        for one in foretold:
            done_at = one.done_at(harbour.diary, zone)
            assert done_at is not None, (vantage, one)
            in_time = one.not_before is None or one.not_before <= done_at + late_s  # seen late, waited for from then on
            assert in_time, (vantage, one, done_at - one.said_at, late_s)
        assert foretold
    authoritative = harbour.watch.predictions(zone, AUTHORITATIVE)
    assert any(one.not_before is not None and one.not_before > one.said_at for one in authoritative)


@pytest.mark.parametrize("zone", SAFE)
def test_a_rollover_that_waits_pages_nobody(harbour: Harbour, stories: dict[str, Future[None]], zone: str) -> None:
    stories[zone].result()
    harbour.until_complete(zone)

    account = harbour.watch.account(zone)
    assert [harbour.watch.verdicts(zone, vantage) for vantage in VANTAGES] == [["secure"], ["secure"]], account
    assert {one.severity for one in harbour.watch.versions if one.cause_zone == zone} <= NOT_PAGING, account
    assert {one.severity for one in harbour.watch.findings(zone)} <= NOT_PAGING, account
    assert harbour.watch.findings(zone, "key_rollover"), account


def test_a_ds_that_is_asked_for_by_cds_is_information_until_the_parent_follows(
    harbour: Harbour, stories: dict[str, Future[None]]
) -> None:
    """A parent may take an hour; so what was seen in seconds is taken in as if it had lasted."""
    zone = "bind-cds.quay."
    stories[zone].result()
    sweeps = harbour.watch.sweeps(zone)
    asks, follows = next(one for one in sweeps if asked_for(one)), sweeps[-1]

    analysis, pending = Analysis(), []
    before = harbour.watch.messages[: harbour.watch.messages.index(asks)]
    analysis.take(before, Knowledge(), asks.swept_at.timestamp())
    for minute, sweep in enumerate([asks] * 63 + [follows] * 3):
        at = asks.swept_at + timedelta(minutes=minute)
        later = msgspec.structs.replace(sweep, id=f"{sweep.id}+{minute}", swept_at=at)
        analysis.take([later], Knowledge(), at.timestamp())
        pending.append([one.severity for one in analysis.findings() if one.code == "cds_pending" and one.confirmed])

    assert [pending[0], pending[59], pending[62], pending[-1]] == [[], [], [Severity.INFO], []]
    (new,) = asked_for(asks)
    assert new in {ds.split()[0] for sight in follows.servers if sight.of_parent for ds in sight.ds}
    assert harbour.watch.findings(zone, "cds_pending") == [], "it lasted for seconds"


# rollovers that do not wait


@pytest.mark.parametrize(
    ("zone", "why"),
    [
        ("early-zsk.quay.", "was withdrawn too early"),
        ("early-ds.quay.", "the DS set was replaced while caches hold a key set without its keys"),
        ("early-ksk.quay.", "was withdrawn too early"),
        ("early-algorithm.quay.", "the DS set was replaced while caches hold a key set without its keys"),
    ],
)
def test_a_step_that_comes_too_early_is_unsafe_though_all_servers_are_well(
    harbour: Harbour, stories: dict[str, Future[None]], zone: str, why: str
) -> None:
    stories[zone].result()

    found = harbour.watch.findings(zone, "rollover_unsafe")
    assert found, harbour.watch.account(zone)
    assert (found[0].severity, AUTHORITATIVE in found[0].vantages) == (Severity.HIGH, True)
    assert why in found[0].detail
    assert harbour.watch.verdicts(zone, AUTHORITATIVE) == ["secure"]


def test_what_was_called_unsafe_is_bogus_where_a_cache_holds_it(
    harbour: Harbour, stories: dict[str, Future[None]]
) -> None:
    stories["early-zsk.quay."].result()

    assert "bogus" in harbour.watch.verdicts("early-zsk.quay.", CACHE)


def test_an_old_key_that_goes_while_the_parent_points_at_it_is_critical_until_the_ds_follows(
    harbour: Harbour, stories: dict[str, Future[None]]
) -> None:
    zone = "lied-ksk.quay."
    stories[zone].result()

    found = harbour.watch.findings(zone, "dnskey_missing")
    until(lambda: is_closed(harbour.watch.findings(zone, "dnskey_missing")), "the finding is closed")
    assert {one.severity for one in found} == {Severity.CRITICAL}
    assert harbour.watch.verdicts(zone, AUTHORITATIVE) == ["secure", "bogus", "secure"]


def is_closed(findings: list[Finding]) -> bool:
    return {one.status for one in findings} == {"closed"}


def test_a_ds_whose_algorithm_signs_nothing_is_named_before_it_stands_alone(
    harbour: Harbour, stories: dict[str, Future[None]]
) -> None:
    zone = "ahead-algorithm.quay."
    stories[zone].result()

    step = next(drift for _, drift in harbour.watch.drifts(zone, AUTHORITATIVE) if drift.code == "key_rollover")
    assert "algorithm_conservative" in step.detail
    assert "next: publish the key of DS 4711" in step.detail
    assert harbour.watch.verdicts(zone, AUTHORITATIVE) == ["secure", "bogus"]
    worst = max(harbour.watch.findings(zone), key=lambda one: one.severity.rank)
    assert worst.severity == Severity.CRITICAL


def test_a_request_to_remove_the_ds_is_high_before_the_parent_follows_it(
    harbour: Harbour, stories: dict[str, Future[None]]
) -> None:
    zone = "delete-cds.quay."
    stories[zone].result()

    (asked,) = harbour.watch.findings(zone, "cds_delete_requested")
    (lost, *_) = harbour.watch.findings(zone, "secure_to_insecure")
    assert (asked.severity, lost.severity) == (Severity.HIGH, Severity.CRITICAL)
    assert harbour.signers.ds_texts(zone) == []
    assert asked.opened_at < lost.opened_at


def test_nobody_is_paged_for_anything_else(harbour: Harbour, stories: dict[str, Future[None]]) -> None:
    for story in stories.values():
        story.result()

    unsafe = set(ZONES) - set(SAFE)
    paging = [one for one in harbour.watch.all_findings() if one.severity not in NOT_PAGING]
    others = [one for one in paging if not any(zone in one.detail for zone in unsafe)]
    assert {one.cause_zone for one in paging} >= unsafe
    assert others == [], "\n".join(f"{one.code}: {one.detail}" for one in others)
