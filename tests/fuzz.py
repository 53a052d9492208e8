"""Mutated packets through the message path: no crash, no hang, never secure but with the signed content, never
insecure where the truth is secure.

``make fuzz N=1000000`` runs it at length; ``tests/test_fuzz.py`` a little of it.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from anchorwatch.lab.zones import Nsec3Params
from collector.dnssec import names, records
from collector.dnssec.budget import Budget
from collector.dnssec.context import ChainNode, Context
from collector.dnssec.message import FormError, Response, read_response
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, FetchFailure, Reply, drive
from collector.dnssec.skim import take_imprint
from collector.dnssec.validation import ValidationResult, validate
from tests.support.lab import AT, Lab

LONGEST_S = 0.05
POLICY = Policy()
QUESTIONS = (
    ("www.zone.test", "A"),
    ("nope.zone.test", "A"),
    ("www.zone.test", "TXT"),
    ("x.wild.zone.test", "A"),
    ("alias.zone.test", "A"),
    ("a.tree.zone.test", "A"),
    ("below.b.c.zone.test", "A"),
    ("zone.test", "DNSKEY"),
    ("zone.test", "DS"),
    ("sub.zone.test", "DS"),
    ("x.sub.zone.test", "A"),
)


@dataclass(frozen=True)
class Case:
    """One question, its true response, and what that proves."""

    lab: Lab
    qname: Name
    qtype: int
    wire: bytes
    truth: ValidationResult


def make_cases() -> list[Case]:
    """Return the questions on worlds with NSEC, NSEC3 and opt-out."""
    cases = []
    for nsec3 in (None, Nsec3Params(), Nsec3Params(2, b"\xab", opt_out=True)):
        lab = Lab(nsec3)
        lab.zone.add("*.wild", "A", "192.0.2.7")
        lab.zone.add("alias", "CNAME", "www.zone.test.")
        lab.zone.add("tree", "DNAME", "zone.test.")
        lab.zone.add("a", "A", "192.0.2.8")
        lab.zone.add("a.b.c", "A", "192.0.2.9")
        lab.zone.add("sub", "NS", "ns.test.")
        lab.sign()
        for name, rdtype in QUESTIONS:
            qname, qtype = names.from_text(name), records.type_from_text(rdtype)
            response = lab.reply(Ask(qname, qtype))
            assert isinstance(response, Response)
            case = Case(lab, qname, qtype, response.wire, ValidationResult("", ""))  # type: ignore[arg-type]
            cases.append(Case(lab, qname, qtype, response.wire, judge(case, response, {})))
    return cases


def judge(case: Case, reply: Reply, nodes: dict[Name, ChainNode]) -> ValidationResult:
    """Validate with this reply to the first question and the truth for all others."""
    context = Context(int(AT.timestamp()), case.lab.anchors, POLICY, Budget(POLICY), nodes)
    given = [reply]
    return drive(
        validate(context, case.qname, case.qtype), lambda asked: given.pop() if given else case.lab.reply(asked)
    )


def mutations(rng: random.Random, corpus: list[bytes]) -> dict[str, Callable[[bytearray], bytearray]]:
    """Return the ways to break a packet."""

    def at(wire: bytearray) -> int:
        return rng.randrange(12, len(wire))

    def flip(wire: bytearray) -> bytearray:
        for _ in range(rng.choice((1, 1, 1, 2, 8))):
            wire[at(wire)] ^= 1 << rng.randrange(8)
        return wire

    def header(wire: bytearray) -> bytearray:
        wire[rng.randrange(2, 12)] = rng.randrange(256)
        return wire

    def pointer(wire: bytearray) -> bytearray:
        position = at(wire)
        wire[position : position + 2] = (0xC000 | rng.randrange(len(wire))).to_bytes(2, "big")
        return wire

    def cut(wire: bytearray) -> bytearray:
        return wire[: rng.randrange(len(wire))]

    def insert(wire: bytearray) -> bytearray:
        position = at(wire)
        return wire[:position] + rng.randbytes(rng.randrange(1, 40)) + wire[position:]

    def splice(wire: bytearray) -> bytearray:
        other = rng.choice(corpus)
        return wire[: at(wire)] + other[rng.randrange(12, len(other)) :]

    def overwrite(wire: bytearray) -> bytearray:
        position, other = at(wire), rng.choice(corpus)
        start = rng.randrange(len(other))
        piece = other[start : start + rng.randrange(1, 80)]
        wire[position : position + len(piece)] = piece
        return wire

    def repeat(wire: bytearray) -> bytearray:
        start = at(wire)
        piece = wire[start : start + rng.randrange(1, 200)]
        return wire[:start] + piece * rng.randrange(2, 60) + wire[start:]

    return {f.__name__: f for f in (flip, header, pointer, cut, insert, splice, overwrite, repeat)}


def run(count: int, seed: int) -> tuple[Counter[str], float, list[str]]:
    """Try ``count`` packets; return outcomes, the longest time one took in seconds, and what must not be."""
    rng = random.Random(seed)
    cases = make_cases()
    ways = mutations(rng, [case.wire for case in cases])
    known: dict[int, dict[Name, ChainNode]] = {id(case.lab): {} for case in cases}
    outcomes: Counter[str] = Counter()
    longest, wrong = 0.0, []
    for number in range(count):
        case, way = rng.choice(cases), rng.choice(list(ways))
        wire = bytes(ways[way](bytearray(case.wire)))
        started = time.process_time()
        take_imprint(wire)
        try:
            reply: Reply = read_response(wire)
        except FormError as error:
            reply = FetchFailure("malformed", str(error))
        if isinstance(reply, Response) and (reply.qname, reply.qtype) != (case.qname, case.qtype):
            outcomes["another question"] += 1
            continue
        nodes = dict(known[id(case.lab)])
        result = judge(case, reply, nodes)
        took = time.process_time() - started
        longest = max(longest, took)
        outcomes[str(result.verdict)] += 1
        if result.verdict == "secure" and (result.records, result.rcode) != (
            case.truth.records,
            case.truth.rcode,
        ):
            wrong.append(f"packet {number} ({way}): secure with other content: {wire.hex()}")
        if result.verdict == "insecure" and case.truth.verdict == "secure":
            wrong.append(f"packet {number} ({way}): secure became insecure: {wire.hex()}")
        if result.verdict == "secure":
            known[id(case.lab)] = nodes
    return outcomes, longest, wrong


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    print(f"{arguments.packets:,} packets, seed {arguments.seed}", flush=True)
    started = time.perf_counter()
    outcomes, longest, wrong = run(arguments.packets, arguments.seed)
    print(f"in {time.perf_counter() - started:.0f} s; the longest took {longest * 1000:.1f} ms")
    for outcome, number in outcomes.most_common():
        print(f"  {outcome:18} {number:>9,}")
    if longest > LONGEST_S:
        wrong.append(f"one packet took {longest * 1000:.0f} ms, more than {LONGEST_S * 1000:.0f} ms")
    for line in wrong[:20]:
        print("WRONG", line)
    print(f"{arguments.packets - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
