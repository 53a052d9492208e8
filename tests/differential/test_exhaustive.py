"""Every genuine denial record of a random world at once proves nothing that is false in it."""

from functools import cache
from random import Random

import pytest
from damage import Case
from packets import Message, Record
from worlds import Question, SignedWorld, all_denials, from_dns, make_world

from collector.dnssec.budget import Budget
from collector.dnssec.context import Context
from collector.dnssec.message import NXDOMAIN, Response, read_response
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, drive
from collector.dnssec.records import CNAME, DNAME, DS, NSEC3, SOA, A
from collector.dnssec.validation import validate

NOW = 1_800_000_000
LAVISH = Policy(
    max_crypto_operations=100_000, max_failed_tries=100_000, max_nsec3_hashes=100_000, max_signature_tries=1_000
)
WORLDS = range(12)
SOME_WORLDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed > 3 else []) for seed in WORLDS]


def verdict_of(made: SignedWorld, question: Question, forged: dict[Question, Message]) -> str:
    context = Context(made.now, made.anchors, LAVISH, Budget(LAVISH), {})
    case = Case(made, question)

    def reply_to(asked: Ask) -> Response:
        message = forged.get((asked.name, asked.rdtype)) or case.message(asked.name, asked.rdtype)
        return read_response(message.to_wire(asked.name, asked.rdtype))

    return drive(validate(context, *question), reply_to).verdict.value


@cache
def world_of(seed: int) -> SignedWorld:
    return make_world(Random(f"exhaustive/{seed}"), NOW)


@cache
def what_is_there(seed: int) -> list[Question]:
    """Return the names and types whose honest answer is secure data."""
    made = world_of(seed)
    found: list[Question] = []
    for zone in made.zones:
        for owner, rdtype in sorted(zone.data):
            question = from_dns(owner), int(rdtype)
            if owner.labels[0] != b"*" and zone.is_authoritative(owner, rdtype) and rdtype not in (CNAME, DNAME):
                found.append(question)
    return [one for one in found if verdict_of(made, one, {}) == "secure"]


def every_denial(made: SignedWorld, question: Question) -> list[Record]:
    zone = made.zone_over(question[0] if question[1] != DS else question[0][:-1])
    soa = next(one for one in made.pool(zone) if one[0].rdtype == SOA)
    return [record for one in (soa, *all_denials(made, made.zones)) for record in one]


@pytest.mark.parametrize("seed", SOME_WORLDS)
def test_no_denial_record_of_the_world_denies_what_is_there(seed: int) -> None:
    made = world_of(seed)
    for question in Random(seed).sample(there := what_is_there(seed), min(len(there), 12)):
        for rcode in (0, NXDOMAIN):
            forged = {question: Message(rcode, [], every_denial(made, question))}
            assert allowed(made, question, verdict_of(made, question, forged)), (question, rcode)


@pytest.mark.parametrize("seed", SOME_WORLDS)
def test_no_denial_record_of_the_world_makes_a_cut_where_none_is(seed: int) -> None:
    made = world_of(seed)
    for name, rdtype in Random(seed).sample(there := what_is_there(seed), min(len(there), 12)):
        if rdtype == DS:
            continue
        unsigned = Message(0, [Record(name, A, 300, bytes(4))], [])
        forged: dict[Question, Message] = {(name, A): unsigned}
        for depth in range(1, len(name) + 1):
            forged[name[:depth], DS] = Message(0, [], every_denial(made, (name[:depth], DS)))
            if honest_has_ds(made, name[:depth]):
                assert allowed(made, (name, A), verdict_of(made, (name, A), forged)), name[:depth]
        assert allowed(made, (name, A), verdict_of(made, (name, A), forged)), name


@pytest.mark.parametrize("seed", SOME_WORLDS)
def test_no_denial_record_of_the_world_lets_a_wildcard_replace_a_name(seed: int) -> None:
    made = world_of(seed)
    wildcards = [one for zone in made.zones for one in made.pool(zone) if one[0].owner[-1:] == (b"*",)]
    for name, rdtype in Random(seed).sample(there := what_is_there(seed), min(len(there), 12)):
        for wildcard in wildcards:
            if (
                wildcard[0].rdtype not in (rdtype, CNAME)
                or name[: len(wildcard[0].owner) - 1] != wildcard[0].owner[:-1]
            ):
                continue
            expanded = [Record(name, one.rdtype, one.ttl, one.rdata) for one in wildcard]
            forged = {(name, rdtype): Message(0, expanded, every_denial(made, (name, rdtype))[2:])}
            assert allowed(made, (name, rdtype), verdict_of(made, (name, rdtype), forged)), (name, wildcard[0].owner)


def honest_has_ds(made: SignedWorld, name: Name) -> bool:
    return any(one.rdtype == DS for one in made.message(name, DS).answer)


def allowed(made: SignedWorld, question: Question, verdict: str) -> bool:
    """Return whether a verdict on a forgery is sound: bogus, or insecure where hashes are too costly to count."""
    over_limit = any(zone.nsec3 and zone.nsec3.iterations > LAVISH.nsec3_max_iterations for zone in made.zones)
    return verdict == "bogus" or (verdict == "insecure" and over_limit)


def test_the_worlds_hold_both_kinds_of_denial() -> None:
    pools = [all_denials(made := world_of(seed), made.zones) for seed in WORLDS]

    assert {one[0].rdtype == NSEC3 for pool in pools for one in pool} == {True, False}
