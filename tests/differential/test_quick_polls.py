"""Quick polls, answers signed anew and full validations come to the same, whatever happens in a small signed world.

The watch polls its names on a virtual clock while the world changes; whenever all TTLs have ended, what it knows is
what a validation from nothing finds at the same instant.
"""

import random
from collections.abc import Callable
from datetime import timedelta

import dns.message
import dns.name
import dns.rrset
import pytest
from dns.rdatatype import RdataType
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from anchorwatch.lab.zones import Nsec3Params, Zone, generate_key
from collector.dnssec import names, records
from collector.resolvers.dialogue import Question
from tests.support.lab import Lab
from tests.support.polled import Polled

HOSTS = (
    "www.zone.test A",
    "www.zone.test AAAA",
    "a.deep.zone.test A",
    "b.deep.zone.test A",
    "alias.zone.test A",
    "out.zone.test A",
    "x.wild.zone.test A",
    "absent.zone.test A",
    "host.sub.zone.test A",
    "h2.sub.zone.test A",
    "host.old.test A",
    "h2.old.test A",
)
SETTLED_S = 200.0
KEYS = [generate_key(13) for _ in range(2)] + [generate_key(13, entry=True) for _ in range(2)]
Happening = Callable[["Changing"], None]


class Changing:
    """``zone.test.`` with all that a zone may have, ``sub`` below it and ``old.test.`` beside it, as they change."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lab = lab = Lab(Nsec3Params() if self.rng.random() < 0.5 else None)
        self.sub, self.old = (
            lab.world.add(Zone(dns.name.from_text(name), keys=[KEYS[2 + at], KEYS[at]]))
            for at, name in enumerate(("sub.zone.test.", "old.test."))
        )
        for owner, value in (("a.deep", "192.0.2.2"), ("b.deep", "192.0.2.3"), ("*.wild", "192.0.2.4")):
            lab.zone.add(owner, "A", value)
        lab.zone.add("alias", "CNAME", "www.zone.test.")
        lab.zone.add("out", "CNAME", "host.old.test.")
        lab.zone.add("sub", "NS", "ns.test.")
        lab.tld.add("old", "NS", "ns.test.")
        for child in (self.sub, self.old):
            child.add("@", "NS", "ns.test.")
            child.add("host", "A", "192.0.2.5")
            child.add("h2", "A", "192.0.2.6")
        self.has_ds = {self.sub.name: True, self.old.name: False}
        self.lifetime: timedelta | None = None
        self.ends_at_s = 0.0
        self.kept: dict[object, tuple[object, dns.rrset.RRset]] = {}
        self.polled = Polled(
            *HOSTS, lab=lab, interval_s=20.0, claim_every=10_000
        )  # what clients are told would show changes, too
        self.polled.bend = self.varied
        self.sign()

    def sign(self) -> None:
        """Sign all zones as of now, from the bottom up; what is the same keeps its signature, so that it is seen."""
        at = self.polled.at
        for child, parent in ((self.sub, self.lab.zone), (self.old, self.lab.tld)):
            child.sign(at)
            owner = child.name.relativize(parent.name).to_text()
            if self.has_ds[child.name]:
                parent.add(owner, "DS", *child.ds_records())
            else:
                parent.remove(owner, "DS")
        self.lab.sign(at=at)
        if self.lifetime is not None:
            self.lab.zone.sign(at, expiration=at + self.lifetime)
            self.ends_at_s = self.polled.now + self.lifetime.total_seconds()
        for zone in (self.lab.root, self.lab.tld, self.lab.zone, self.sub, self.old):
            for key, signature in zone.signatures.items():
                mark = zone.rrsets[key].to_text(), tuple(map(id, zone.keys)), self.lifetime
                known = self.kept.get((zone.name, key))
                if known is not None and known[0] == mark:
                    zone.signatures[key] = known[1]
                else:
                    self.kept[zone.name, key] = mark, signature

    def varied(self, question: Question, response: dns.message.Message) -> dns.message.Message:
        """Return the response as a cache has it: records in any order, TTLs that are part of what they were.

        The chain comes with whole TTLs, so that it stands for three polls.
        """
        left = self.rng.random() if question.rdtype in (records.A, records.AAAA) else 1.0
        for section in (response.answer, response.authority):
            self.rng.shuffle(section)
            for rrset in section:
                rrset.ttl = int(rrset.ttl * left)
                self.rng.shuffle(rrset.items) if isinstance(rrset.items, list) else None
        return response

    def check(self) -> None:
        """Hold what the watch knows against a validation from nothing."""
        for memory in self.polled.watch._memory.values():
            name, rdtype = names.to_text(memory.target.name), records.type_to_text(memory.target.rdtype)
            judgement = self.lab.judge(name, rdtype, at=self.polled.at)
            known = (name, rdtype, memory.verdict, memory.answers)
            assert known == (name, rdtype, judgement.verdict, judgement.answers)


def other_address(world: Changing) -> None:
    owner = world.rng.choice(["www", "a.deep", "b.deep", "*.wild"])
    world.lab.zone.add(
        owner, "A", *(f"192.0.2.{world.rng.randrange(1, 250)}" for _ in range(world.rng.randrange(1, 4)))
    )
    world.sign()


def other_address_elsewhere(world: Changing) -> None:
    world.rng.choice([world.sub, world.old]).add("host", "A", f"192.0.2.{world.rng.randrange(1, 250)}")
    world.sign()


def signed_anew(world: Changing) -> None:
    world.kept.clear()
    world.sign()


def other_keys(world: Changing) -> None:
    zone = world.rng.choice([world.lab.zone, world.sub, world.old, world.lab.tld])
    zone.keys = [world.rng.choice(KEYS[2:]), world.rng.choice(KEYS[:2])]
    world.sign()


def delegation_turns(world: Changing) -> None:
    child = world.rng.choice([world.sub, world.old])
    world.has_ds[child.name] = not world.has_ds[child.name]
    world.sign()


def foreign_ds(world: Changing) -> None:
    world.lab.tld.add("zone", "DS", *world.old.ds_records())
    world.lab.tld.sign(world.polled.at)


def name_comes_or_goes(world: Changing) -> None:
    zone = world.lab.zone
    owner = world.rng.choice(["absent", "b.deep", "x.wild"])
    if (dns.name.from_text(owner, zone.name), RdataType.A) in zone.data:
        zone.remove(owner, "A")
    else:
        zone.add(owner, "A", "192.0.2.9")
    world.sign()


def cut_comes_or_goes(world: Changing) -> None:
    """``deep.zone.test`` is delegated without a DS set, to servers that know nothing of it; or is no more."""
    zone = world.lab.zone
    if (dns.name.from_text("deep", zone.name), RdataType.NS) in zone.data:
        zone.remove("deep", "NS")
    else:
        zone.add("deep", "NS", "ns.test.")
    world.sign()


def alias_turns(world: Changing) -> None:
    target = world.rng.choice(["www.zone.test.", "host.old.test.", "host.sub.zone.test.", "x.wild.zone.test."])
    world.lab.zone.add(world.rng.choice(["alias", "out"]), "CNAME", target)
    world.sign()


def signatures_end_soon(world: Changing) -> None:
    world.lifetime = timedelta(seconds=world.rng.randrange(30, 400)) if world.lifetime is None else None
    world.sign()


def denial_turns(world: Changing) -> None:
    zone = world.lab.zone
    zone.remove("@", "NSEC3PARAM")
    zone.nsec3 = None if zone.nsec3 is not None else Nsec3Params(opt_out=world.rng.random() < 0.5)
    world.sign()


def nothing(world: Changing) -> None:
    pass


HAPPENINGS: list[Happening] = [
    other_address,
    other_address_elsewhere,
    signed_anew,
    other_keys,
    delegation_turns,
    foreign_ds,
    name_comes_or_goes,
    cut_comes_or_goes,
    alias_turns,
    signatures_end_soon,
    denial_turns,
    nothing,
]


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.floats(1.0, 300.0)), min_size=1, max_size=6),
)
@example(1, [(delegation_turns, 100.0)])
@example(2, [(delegation_turns, 100.0), (delegation_turns, 100.0)])
def knows_what_a_validation_from_nothing_finds(seed: int, happenings: list[tuple[Happening, float]]) -> None:
    world = Changing(seed)
    world.polled.pass_s(SETTLED_S)
    world.check()
    for happening, passes_s in happenings:
        note(f"{world.polled.now:.0f} s: {happening.__name__}")
        happening(world)
        world.polled.pass_s(passes_s)
    world.polled.pass_s(max(world.ends_at_s - world.polled.now, 0.0) + SETTLED_S)
    world.check()


@pytest.mark.parametrize("examples", [1, pytest.param(12, marks=[pytest.mark.slow, pytest.mark.long])])
def test_what_quick_polls_know_is_what_a_validation_from_nothing_finds(examples: int) -> None:
    settings(max_examples=examples, deadline=None)(knows_what_a_validation_from_nothing_finds)()
