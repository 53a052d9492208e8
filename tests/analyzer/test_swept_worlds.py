"""Servers in memory, swept by the collector, told by the analyzer: one faulty world after the other, end to end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dns.message
import pytest

from analyzer.analysis import Analysis
from analyzer.batch import Knowledge
from collector.dnssec import records
from collector.resolvers.dialogue import Question
from schemas.messages import utc
from schemas.wire import decode, encode
from tests.collector.authorities.test_sweep import ABOVE1, ABOVE2, NS1, NS2, NS3, World
from tests.support.internet import AT, SILENCE
from tests.support.making import judgement, link, observation, snapshot, with_zones

CHAIN = (link("."), link("test."), link("zone.test."))
HOUR_S = 3600
SERIAL = "ns1.zone.test. host.zone.test. {} 3600 600 86400 60"


class Watched:
    """A world, and the analysis of what its sweeps say."""

    def __init__(self) -> None:
        self.world = World()
        self.analysis = Analysis()
        seen = observation(judgement("www.zone.test.", zone="zone.test.", chain=CHAIN), AT)
        self._take(snapshot("sa", "www.zone.test"), *with_zones([seen]))

    def _take(self, *batch: Any) -> list[Any]:
        return self.analysis.take(batch, Knowledge(), self.world.instant.at).messages

    def sweep(self, times: int = 1) -> dict[tuple[str, str], tuple[str, ...]]:
        """Sweep each hour; return the servers that are told, by code and severity."""
        told: dict[tuple[str, str], tuple[str, ...]] = {}
        for _ in range(times):
            self.world.instant.at += HOUR_S
            self.world.instant.now += HOUR_S
            one = decode(encode(self.world.sweep("zone.test", "www.zone.test")))
            assert utc(self.world.instant.at) == one.swept_at  # type: ignore[attr-defined]
            told |= {(f.code, str(f.severity)): f.servers for f in self._take(one) if f.status != "closed"}
        return told


def strip(_: Question, response: dns.message.Message) -> dns.message.Message:
    for section in (response.answer, response.authority):
        section[:] = [rrset for rrset in section if rrset.rdtype not in (records.RRSIG, records.NSEC)]
    return response


def ended(world: World) -> None:
    copy = world.copy_at(NS2, "zone.test.")
    copy.sign(AT, inception=AT - timedelta(days=20), expiration=AT - timedelta(days=1))


def forged(world: World) -> None:
    copy = world.copy_at(NS3, "zone.test.")
    copy.remove("www.zone.test.", "A")
    copy.add("www", "A", "203.0.113.66")
    copy.sign(AT)


def stays_behind(world: World) -> None:
    world.copy_at(NS2, "zone.test.")
    world.zone.add("@", "SOA", SERIAL.format(9))
    world.zone.sign(AT)


def lame(world: World) -> None:
    for address in (NS1, NS2, NS3):
        del world.servers[address].zones[world.zone.name]


def names_nobody(world: World) -> None:
    for zone in (world.zone, world.zones["test."]):
        zone.add("zone.test.", "NS", "ns1.zone.test.", "ns2.zone.test.", "ns3.zone.test.", "gone.zone.test.")
        zone.sign(AT)


def parent_differs(world: World) -> None:
    copy = world.copy_at(ABOVE2, "test.")
    copy.remove("zone.test.", "DS")
    copy.sign(AT)


def moves(world: World) -> None:
    world.zones["test."].add("zone.test.", "NS", "ns1.zone.test.", "ns2.zone.test.")
    world.zones["test."].sign(AT)


def deletes(world: World) -> None:
    world.zone.add("@", "CDS", "0 0 0 00")
    world.zone.sign(AT)


def test_a_world_in_order_tells_nothing() -> None:
    watched = Watched()

    assert watched.sweep(5) == {}
    assert watched.analysis.findings() == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (ended, {("auth_signature_divergence", "high"): (NS2,)}),
        (lambda world: world.bend(NS3, strip), {("auth_server_unsigned", "high"): (NS3,)}),
        (lambda world: world.bend(NS1, SILENCE), {("auth_server_unreachable", "low"): (NS1,)}),
        (forged, {("auth_answer_divergence", "low"): (NS3,)}),
        (stays_behind, {("auth_answer_divergence", "low"): (NS2,)}),
        (
            lame,
            {
                ("auth_server_unreachable", "high"): (NS1, NS2, NS3),
                ("delegation_dangling", "high"): (NS1, NS2, NS3),
            },
        ),
        (
            names_nobody,
            {
                ("delegation_dangling", "high"): ("gone.zone.test.",),
                ("ns_set_changed", "high"): (ABOVE1, ABOVE2),
            },
        ),
        (parent_differs, {("auth_ds_divergence", "high"): (ABOVE1, ABOVE2)}),
        (
            moves,
            {
                ("ns_set_changed", "high"): (ABOVE1, ABOVE2),
                ("ns_parent_child_mismatch", "low"): (NS1, NS2, NS3),
            },
        ),
        (deletes, {("cds_delete_requested", "high"): (NS1, NS2, NS3)}),
    ],
    ids=[
        "ended", "strips", "silent", "forged", "stays behind", "lame", "names nobody", "parent differs", "moves",
        "deletes",
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_servers_and_nothing_else(
    spoil: Callable[[World], None], told: dict[tuple[str, str], tuple[str, ...]]
) -> None:
    watched = Watched()
    watched.sweep()
    spoil(watched.world)

    assert watched.sweep(4) == told
