"""BIND, NSD and Knot as the servers of one zone, most of them with a fault: a sweep must name each by its address."""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.analysis import Analysis
from analyzer.batch import Knowledge
from anchorwatch.configuration.loading import load_config
from collector.stage import Collector
from schemas.judgement import Verdict
from schemas.messages import Message, Observation, ServerSight, ServerStatus, SignatureState, ZoneSweep
from tests.support import fleet as servers
from tests.support.daemons import PATIENCE_S
from tests.support.fleet import SERIAL, STALE_SERIAL, ZONE, Fleet, missing_tools

pytestmark = [pytest.mark.servers, pytest.mark.slow]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    missing = missing_tools()
    if missing:
        pytest.skip(f"needs BIND, NSD and Knot: apt-get install bind9 bind9-utils nsd knot (missing: {missing})")
    folder = Path(tempfile.mkdtemp(prefix="anchorwatch-"))
    fleet = Fleet(folder)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def said(fleet: Fleet) -> list[Message]:
    """What a collector says until it has swept the zone four times and observed both names."""
    config = load_config(fleet.config()).collector
    found: list[Message] = []

    async def collect() -> None:
        collector = Collector(config, time.time)
        async for batch in collector.observe():
            found.extend(batch)
            zones = [message.zone for message in found if isinstance(message, ZoneSweep)]
            hosts = {message.judgement.name for message in found if isinstance(message, Observation)}
            if {servers.TLD, "."} <= set(zones) and zones.count(ZONE) >= 4 and len(hosts) == 2:
                collector.stop()

    asyncio.run(asyncio.wait_for(collect(), PATIENCE_S))
    return found


@pytest.fixture(scope="module")
def sweeps(said: list[Message]) -> list[ZoneSweep]:
    return [message for message in said if isinstance(message, ZoneSweep) and message.zone == ZONE]


@pytest.fixture(scope="module")
def sweep(sweeps: list[ZoneSweep]) -> ZoneSweep:
    return sweeps[-1]


def sight(fleet: Fleet, sweep: ZoneSweep, address: str) -> ServerSight:
    (one,) = (one for one in sweep.servers if one.server == fleet.at(address) and not one.of_parent)
    return one


def test_the_good_server_is_good(fleet: Fleet, sweep: ZoneSweep) -> None:
    good = sight(fleet, sweep, servers.GOOD)

    assert (good.status, good.signatures, good.serial) == (ServerStatus.ANSWERS, SignatureState.VALID, SERIAL)
    assert good.reasons == ()
    assert good.answers == {"www.fleet.quay. A": (servers.ADDRESS,), "www.fleet.quay. AAAA": ()}
    assert len(good.keys) == 2


def test_the_stale_secondary_is_named_by_serial_and_expired_signatures(fleet: Fleet, sweep: ZoneSweep) -> None:
    stale = sight(fleet, sweep, servers.STALE)

    assert (stale.serial, stale.signatures) == (STALE_SERIAL, SignatureState.INVALID)
    assert {reason.code for reason in stale.reasons} == {"rrsig_expired"}


def test_the_server_that_strips_is_named(fleet: Fleet, sweep: ZoneSweep) -> None:
    stripped = sight(fleet, sweep, servers.STRIPPED)

    assert (stripped.status, stripped.signatures) == (ServerStatus.ANSWERS, SignatureState.MISSING)
    assert stripped.keys == ()


def test_servers_that_do_not_know_the_zone_are_named(fleet: Fleet, sweep: ZoneSweep) -> None:
    refusing, referring = sight(fleet, sweep, servers.LAME), sight(fleet, sweep, servers.ABOVE)

    assert refusing.status in (ServerStatus.REFUSES, ServerStatus.LAME), refusing
    assert (referring.status, referring.signatures) == (ServerStatus.LAME, SignatureState.UNKNOWN)
    assert "refers back" in referring.detail


def test_the_server_with_a_changed_record_is_named_with_the_record(fleet: Fleet, sweep: ZoneSweep) -> None:
    forged = sight(fleet, sweep, servers.FORGED)

    assert forged.signatures is SignatureState.INVALID
    assert {(reason.code, reason.rrset) for reason in forged.reasons} == {("rrsig_crypto_invalid", "www.fleet.quay. A")}
    assert forged.answers["www.fleet.quay. A"] == (servers.FORGED_ADDRESS,)


def test_the_server_that_is_not_there_is_silent(fleet: Fleet, sweep: ZoneSweep) -> None:
    assert sight(fleet, sweep, servers.DEAD).status is ServerStatus.SILENT


def test_the_name_that_does_not_exist_is_named(sweep: ZoneSweep) -> None:
    assert sweep.unresolved == ("gone.quay.: it does not exist",)


def test_the_parents_server_says_what_the_delegation_is(fleet: Fleet, sweep: ZoneSweep) -> None:
    (above,) = (one for one in sweep.servers if one.of_parent)

    assert (above.server, above.status, above.signatures) == (fleet.at(servers.ABOVE), "answers", "valid")
    assert len(above.ns) == len(servers.SERVERS) + 1
    assert len(above.ds) == 1
    assert sweep.parent == servers.TLD


def test_the_analyzer_names_each_fault_by_the_address_of_its_server(fleet: Fleet, said: list[Message]) -> None:
    analysis = Analysis()

    analysis.take(said, Knowledge(), time.time())

    found = {(one.code, one.cause_rrset): one.servers for one in analysis.findings() if one.confirmed}
    named = {
        code: {server for (one, _), those in found.items() if one == code for server in those} for code, _ in found
    }
    at = fleet.at
    assert named["auth_server_unsigned"] == {at(servers.STRIPPED)}
    assert named["auth_signature_divergence"] == {at(servers.STALE), at(servers.FORGED)}
    assert named["auth_server_unreachable"] == {at(servers.LAME), at(servers.ABOVE), at(servers.DEAD)}
    assert named["delegation_dangling"] == {servers.MISSING}
    assert {one.cause_zone for one in analysis.findings() if one.code in named} <= {ZONE}


def test_zones_above_are_without_a_fault(said: list[Message]) -> None:
    for zone in (".", servers.TLD):
        above = next(message for message in said if isinstance(message, ZoneSweep) and message.zone == zone)
        assert {(one.status, one.signatures) for one in above.servers} == {("answers", "valid")}
        assert (above.verdict, above.unresolved, above.evidence) == (Verdict.SECURE, (), None)


def test_the_faulty_answers_are_kept_as_evidence_once(sweeps: list[ZoneSweep]) -> None:
    first, *_, last = sweeps
    assert first.evidence is not None
    assert len(first.evidence.messages) >= 10
    assert last.evidence is None, "what it says is known"


def test_a_name_is_validated_through_real_servers(fleet: Fleet, said: list[Message]) -> None:
    (observed, *_) = (one for one in said if isinstance(one, Observation) and one.judgement.name == "www.quay.")
    assert observed.judgement.verdict is Verdict.SECURE
    assert observed.judgement.resolver is None

    command = [sys.executable, "-m", "anchorwatch", "check", "-", "--config", str(fleet.config()), "--format", "json"]
    done = subprocess.run(command, input="www.quay\n", capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["verdicts"]["secure"] == 2


@pytest.mark.parametrize(
    ("name", "verdict", "status"),
    [("www.quay", "secure", 0), ("nowhere.quay", "secure", 0), ("www.fleet.quay", "indeterminate", 3)],
)
def test_validate_walks_from_the_root_servers_of_a_file(fleet: Fleet, name: str, verdict: str, status: int) -> None:
    """The servers of fleet.quay. are at a port that no delegation can name, so nobody answers for it."""
    command = [sys.executable, "-m", "anchorwatch", "validate", name, "--resolver", "authoritative:", "--json"]
    command += ["--hints", str(fleet.hints()), "--trust-anchor", str(fleet.anchors), "--timeout", "0.3"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    judgement = json.loads(done.stdout)
    assert (judgement["verdict"], done.returncode) == (verdict, status), done.stdout + done.stderr
    assert (judgement["resolver"], judgement["plain"]) == (None, None)
    if verdict == "indeterminate":
        assert judgement["cause_zone"] == ZONE
        assert "no server of fleet.quay. answers" in judgement["reasons"][0]["detail"]


def test_validate_refuses_a_file_of_root_servers_that_is_none(fleet: Fleet) -> None:
    command = [sys.executable, "-m", "anchorwatch", "validate", "www.quay", "--resolver", "authoritative:"]

    done = subprocess.run(
        [*command, "--hints", str(fleet.anchors)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )

    assert done.returncode == 3
    assert "root.ds:1: not an NS, A or AAAA record" in done.stderr
