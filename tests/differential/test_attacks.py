"""Attacks one by one, each with the verdict it must get. In process, no sockets."""

from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random

import dns.name
import pytest
from packets import Message, Record, Terms, sign
from worlds import SignedWorld, colliding_keys, from_dns, make_key, to_dns

from anchorwatch.lab.zones import Nsec3Params, SigningKey, Zone
from collector.dnssec import crypto, names, records
from collector.dnssec.budget import Budget
from collector.dnssec.context import ChainNode, Context
from collector.dnssec.judgement import evidence_of, make_judgement
from collector.dnssec.message import NXDOMAIN, Response, read_response
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, drive
from collector.dnssec.records import AAAA, ANY, CNAME, DNAME, DNSKEY, DS, NS, NSEC, NSEC3, SOA, TXT, A
from collector.dnssec.replay import replay
from collector.dnssec.validation import ValidationResult, validate

NOW = 1_800_000_000
DAY_S = 86_400
EVIL = bytes((198, 51, 100, 66))
Rrset = list[Record]


def n(text: str) -> Name:
    return names.from_text(text)


def key(seed: str, flags: int = 257, algorithm: int = 13) -> SigningKey:
    return make_key(Random(seed), algorithm, flags)


@dataclass
class Stage:
    """A small world, and the responses that the attacker replaces."""

    made: SignedWorld = field(default_factory=lambda: SignedWorld(NOW))
    forged: dict[tuple[Name, int], Message] = field(default_factory=dict)
    context: Context | None = None

    def twin(self) -> "Stage":
        """Return another stage with the same zones, as they are signed."""
        made = Stage()
        for one in self.made.zones:
            data, rrsets, signatures = (
                {key: copy(rrset) for key, rrset in rrsets.items()} for rrsets in (one.data, one.rrsets, one.signatures)
            )
            keys, published = list(one.keys), list(one.published)
            made.made.world.add(
                replace(one, keys=keys, published=published, data=data, rrsets=rrsets, signatures=signatures)
            )
        return made

    def zone(self, name: str, *, nsec3: Nsec3Params | None = None, signed: bool = True) -> Zone:
        keys = [key(name), key(name + "zsk", 256)] if signed else []
        zone = Zone(dns.name.from_text(name), ttl=300, keys=keys, nsec3=nsec3)
        zone.add("@", "NS", f"ns.{name}" if name != "." else "ns.")
        zone.add("ns", "A", "192.0.2.1")
        return self.made.world.add(zone)

    def __getitem__(self, name: str) -> Zone:
        return self.made.world.zones[dns.name.from_text(name)]

    def delegate(self, parent: str, child: str, *ds: str) -> None:
        owner = dns.name.from_text(child).relativize(dns.name.from_text(parent)).to_text()
        self[parent].add(owner, "NS", f"ns.{child}")
        found = ds or tuple(self[child].ds_records() if self[child].keys else ())
        if found:
            self[parent].add(owner, "DS", *found)

    def sign(self) -> "Stage":
        for zone in self.made.zones:
            zone.sign(datetime.fromtimestamp(NOW, UTC))
        self.made._pool.clear()
        self.made._messages.clear()
        return self

    def rrset(self, zone: str, owner: str, rdtype: int) -> Rrset:
        """Return an RRset of a zone with its signatures."""
        found = [one for one in self.made.pool(self[zone]) if (one[0].owner, one[0].rdtype) == (n(owner), rdtype)]
        return found[0]

    def nsec3(self, zone: str, owner: str) -> Rrset:
        """Return the NSEC3 RRset that matches a name."""
        params = self[zone].nsec3
        assert params is not None
        digest = self[zone].hash_of(dns.name.from_text(owner), params).lower()
        return self.rrset(zone, f"{digest}.{zone if zone != '.' else ''}", NSEC3)

    def covering(self, zone: str, owner: str) -> Rrset:
        """Return the NSEC3 RRset whose span holds a name."""
        params = self[zone].nsec3
        assert params is not None
        digest = self[zone].hash_of(dns.name.from_text(owner), params).lower().encode()
        chain = sorted((one[0].owner[-1], one) for one in self.made.pool(self[zone]) if one[0].rdtype == NSEC3)
        before = [one for label, one in chain if label < digest]
        return before[-1] if before else chain[-1][1]

    def denials(self, *zones: str) -> Rrset:
        """Return every denial record of some zones."""
        wanted = (NSEC, NSEC3)
        return [r for zone in zones for one in self.made.pool(self[zone]) if one[0].rdtype in wanted for r in one]

    def signed(self, data: Rrset, zone: str, *, with_key: SigningKey | None = None, **changes: object) -> Rrset:
        """Return the records with a signature of a zone's (or another) key."""
        keys = self[zone].keys
        signer = with_key or (keys[0] if data[0].rdtype == DNSKEY else keys[-1])
        terms = replace(Terms(n(zone), NOW - 3600, NOW + DAY_S), **changes)  # type: ignore[arg-type]
        return [*data, sign(data, signer, terms)]

    def answer(self, question: str, rdtype: int, *rrsets: Rrset, proof: Rrset = (), rcode: int = 0) -> None:  # type: ignore[assignment]
        """Replace a response."""
        self.forged[n(question), rdtype] = Message(rcode, [r for one in rrsets for r in one], list(proof))

    def deny(self, question: str, rdtype: int, proof: Rrset, *, rcode: int = 0, zone: str = "") -> None:
        """Replace a response by a denial with the zone's genuine SOA."""
        soa = self.rrset(zone, zone, SOA) if zone else []
        self.answer(question, rdtype, proof=soa + proof, rcode=rcode)

    def ask(
        self,
        question: str,
        rdtype: int,
        *,
        now: int = NOW,
        nodes: dict[Name, ChainNode] | None = None,
        **policy: object,
    ) -> ValidationResult:
        settings = Policy(**policy)  # type: ignore[arg-type]
        self.context = context = Context(
            now, self.made.anchors, settings, Budget(settings), {} if nodes is None else nodes
        )

        def reply_to(asked: Ask) -> Response:
            found = self.forged.get((asked.name, asked.rdtype)) or self.made.message(asked.name, asked.rdtype)
            return read_response(found.to_wire(asked.name, asked.rdtype))

        return drive(validate(context, n(question), rdtype), reply_to)

    def verdict(self, question: str, rdtype: int = A, **options: object) -> str:
        return self.ask(question, rdtype, **options).verdict.value  # type: ignore[arg-type]


def address(owner: str, octets: bytes = EVIL) -> Rrset:
    return [Record(n(owner), A, 300, octets)]


def alias(owner: str, target: str, rdtype: int = CNAME) -> Rrset:
    return [Record(n(owner), rdtype, 300, names.to_wire(n(target)))]


def nsec(owner: str, following: str, *types: int) -> Rrset:
    octets = bytearray(max(types) // 8 + 1) if types else bytearray()
    for rdtype in types:
        octets[rdtype // 8] |= 0x80 >> rdtype % 8
    bitmap = bytes((0, len(octets))) + bytes(octets) if types else b""
    return [Record(n(owner), NSEC, 300, names.to_wire(n(following)) + bitmap)]


def renamed(rrset: Rrset, owner: str) -> Rrset:
    return [replace(record, owner=n(owner)) for record in rrset]


@pytest.fixture
def stage() -> Stage:
    return signed_stage().twin()


@cache
def signed_stage() -> Stage:
    """``example.`` over ``sec.`` (NSEC), ``sec3.`` (NSEC3), ``ins.``; ``open.`` (opt-out) over ``in.`` and ``out.``."""
    made = Stage()
    made.zone(".")
    made.zone("example.")
    made.zone("sec.example.")
    made.zone("sec3.example.", nsec3=Nsec3Params())
    made.zone("ins.example.", signed=False)
    made.zone("open.", nsec3=Nsec3Params(opt_out=True))
    made.zone("in.open.")
    made.zone("out.open.", signed=False)
    made.zone("closed.", nsec3=Nsec3Params(salt=b"\xab"))
    made.zone("in.closed.")
    for zone in (
        "sec.example.",
        "sec3.example.",
        "ins.example.",
        "in.open.",
        "out.open.",
        "in.closed.",
        "closed.",
        "open.",
    ):
        made[zone].add("www", "A", "192.0.2.10")
        made[zone].add("www", "TXT", '"text"')
    for zone in ("sec.example.", "sec3.example."):
        made[zone].add("deep.ent", "A", "192.0.2.11")
        made[zone].add("*.wild", "A", "192.0.2.12")
        made[zone].add("host.wild", "A", "192.0.2.13")
        made[zone].add("*.cwild", "CNAME", "www")
        made[zone].add("moved", "DNAME", "sec3.example.")
        made[zone].add("also", "CNAME", "www")
    made["example."].add("*.w", "A", "192.0.2.14")
    made["example."].add("zzz", "A", "192.0.2.15")
    children = {
        ".": ("example.", "open.", "closed."),
        "example.": ("sec.example.", "sec3.example.", "ins.example."),
        "open.": ("in.open.", "out.open."),
        "closed.": ("in.closed.",),
    }
    for parent, child in ((parent, child) for parent, below in children.items() for child in below):
        made.delegate(parent, child)
    return made.sign()


# --- what must hold, or the attacks prove nothing ---


@pytest.mark.parametrize(
    ("question", "rdtype", "verdict"),
    [
        ("www.sec.example.", A, "secure"),
        ("WWW.Sec3.example.", A, "secure"),
        ("www.in.open.", A, "secure"),
        ("www.out.open.", A, "insecure"),
        ("www.ins.example.", A, "insecure"),
        ("nothing.sec.example.", A, "secure"),
        ("nothing.sec3.example.", A, "secure"),
        ("nothing.open.", A, "insecure"),
        ("www.sec.example.", AAAA, "secure"),
        ("www.sec3.example.", AAAA, "secure"),
        ("ent.sec.example.", A, "secure"),
        ("ent.sec3.example.", A, "secure"),
        ("a.wild.sec.example.", A, "secure"),
        ("a.b.wild.sec3.example.", A, "secure"),
        ("a.wild.sec3.example.", TXT, "secure"),
        ("*.wild.sec.example.", A, "secure"),
        ("www.moved.sec.example.", A, "secure"),
        ("a.cwild.sec3.example.", A, "secure"),
        ("sec.example.", DS, "secure"),
        ("ins.example.", DS, "secure"),
        ("ent.sec.example.", DS, "secure"),
        ("sec.example.", ANY, "secure"),
        ("sec.example.", DNSKEY, "secure"),
        (".", DS, "secure"),
    ],
)
def test_an_honest_world_gets_its_verdict(stage: Stage, question: str, rdtype: int, verdict: str) -> None:
    assert stage.verdict(question, rdtype) == verdict


# --- denial across a zone cut ---


@pytest.mark.parametrize("rcode", [0, NXDOMAIN])
@pytest.mark.parametrize(
    ("parent", "child"), [("example.", "sec.example."), ("closed.", "in.closed."), ("open.", "in.open.")]
)
def test_the_parents_denial_says_nothing_below_a_secure_cut(stage: Stage, parent: str, child: str, rcode: int) -> None:
    stage.deny(f"www.{child}", A, stage.denials(parent), rcode=rcode, zone=parent)

    assert stage.verdict(f"www.{child}") == "bogus"


@pytest.mark.parametrize(
    ("parent", "child"), [("example.", "sec.example."), ("closed.", "in.closed."), ("open.", "in.open.")]
)
def test_the_parents_denial_says_nothing_of_the_childs_apex(stage: Stage, parent: str, child: str) -> None:
    stage.deny(child, TXT, stage.denials(parent), zone=parent)

    assert stage.verdict(child, TXT) == "bogus"


def test_the_grandparents_denial_says_nothing_below_two_cuts(stage: Stage) -> None:
    stage.deny("www.sec.example.", A, stage.denials("."), rcode=NXDOMAIN, zone=".")

    assert stage.verdict("www.sec.example.") == "bogus"


@pytest.mark.parametrize("child", ["sec.example.", "sec3.example."])
@pytest.mark.parametrize("rcode", [0, NXDOMAIN])
def test_the_childs_denial_says_nothing_of_its_ds(stage: Stage, child: str, rcode: int) -> None:
    stage.deny(child, DS, stage.denials(child), rcode=rcode, zone=child)
    stage.answer(f"www.{child}", A, address(f"www.{child}"))

    assert stage.verdict(f"www.{child}") == "bogus"
    assert stage.verdict(child, DS) == "bogus"


@pytest.mark.parametrize(
    ("parent", "child"), [("example.", "sec.example."), ("closed.", "in.closed."), ("open.", "in.open.")]
)
def test_no_set_of_genuine_denials_takes_the_ds_away(stage: Stage, parent: str, child: str) -> None:
    stage.deny(child, DS, stage.denials(parent, ".", child), zone=parent)
    stage.answer(f"www.{child}", A, address(f"www.{child}"))

    assert stage.verdict(f"www.{child}") == "bogus"


@pytest.mark.parametrize("zone", ["sec.example.", "sec3.example.", "closed.", "open.", "in.open."])
def test_no_set_of_genuine_denials_makes_a_cut_at_a_host(stage: Stage, zone: str) -> None:
    stage.deny(f"www.{zone}", DS, stage.denials(zone, ".", "example."), zone=zone)
    stage.answer(f"www.{zone}", A, address(f"www.{zone}"))

    assert stage.verdict(f"www.{zone}") == "bogus"


@pytest.mark.parametrize("zone", ["sec.example.", "sec3.example.", "closed.", "open."])
@pytest.mark.parametrize("rcode", [0, NXDOMAIN])
def test_no_set_of_genuine_denials_denies_what_is_there(stage: Stage, zone: str, rcode: int) -> None:
    stage.deny(f"www.{zone}", A, stage.denials(zone, ".", "example."), rcode=rcode, zone=zone)

    assert stage.verdict(f"www.{zone}") == "bogus"


def test_an_unsigned_answer_for_a_signed_name_hides_in_no_opt_out_span(stage: Stage) -> None:
    for name in ("in.open.", "www.in.open."):
        stage.deny(name, DS, stage.denials("open."), zone="open.")
    stage.answer("www.in.open.", A, address("www.in.open."))

    assert stage.verdict("www.in.open.") == "bogus"


# --- denial within a zone ---


def test_an_empty_non_terminal_exists_whatever_the_rcode(stage: Stage) -> None:
    """The rcode is not signed, that the name exists is: with NSEC what is proven is said, with NSEC3 nothing is."""
    for zone in ("sec.example.", "sec3.example."):
        stage.deny(f"ent.{zone}", A, stage.denials(zone), rcode=NXDOMAIN, zone=zone)

    found = stage.ask("ent.sec.example.", A)
    assert (found.verdict, found.rcode, found.records) == ("secure", "NOERROR", [])
    assert stage.verdict("ent.sec3.example.") == "bogus"


@pytest.mark.parametrize("zone", ["sec.example.", "sec3.example."])
def test_a_name_that_a_wildcard_matches_is_not_denied(stage: Stage, zone: str) -> None:
    stage.deny(f"a.wild.{zone}", A, stage.denials(zone), rcode=NXDOMAIN, zone=zone)

    assert stage.verdict(f"a.wild.{zone}") == "bogus"


@pytest.mark.parametrize("zone", ["sec.example.", "sec3.example."])
def test_a_type_that_the_wildcard_has_is_not_denied(stage: Stage, zone: str) -> None:
    stage.deny(f"a.wild.{zone}", A, stage.denials(zone), zone=zone)
    stage.deny(f"a.cwild.{zone}", A, stage.denials(zone), zone=zone)

    assert stage.verdict(f"a.wild.{zone}") == "bogus"
    assert stage.verdict(f"a.cwild.{zone}") == "bogus"


@pytest.mark.parametrize("zone", ["sec.example.", "sec3.example."])
def test_an_alias_is_not_denied_by_its_own_bitmap(stage: Stage, zone: str) -> None:
    stage.deny(f"also.{zone}", A, stage.denials(zone), zone=zone)

    assert stage.verdict(f"also.{zone}") == "bogus"


@pytest.mark.parametrize("zone", ["sec.example.", "sec3.example."])
@pytest.mark.parametrize("rcode", [0, NXDOMAIN])
def test_a_name_below_a_dname_is_not_denied(stage: Stage, zone: str, rcode: int) -> None:
    stage.deny(f"www.moved.{zone}", A, stage.denials(zone), rcode=rcode, zone=zone)

    assert stage.verdict(f"www.moved.{zone}") == "bogus"


@pytest.mark.parametrize("dropped", [0, 1])
def test_a_denied_name_needs_both_proofs(stage: Stage, dropped: int) -> None:
    name, zone = "nothing.sec.example.", "sec.example."
    proof = [one for one in stage.made.message(n(name), A).authority if one.covers == NSEC]
    owners = list(dict.fromkeys(one.owner for one in proof))
    stage.deny(name, A, [one for one in proof if one.owner != owners[dropped]], rcode=NXDOMAIN, zone=zone)

    assert len(owners) == 2
    assert stage.verdict(name) == "bogus"


@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_a_name_denied_by_hashes_needs_three_proofs(stage: Stage, dropped: int) -> None:
    name, zone = "nothing.closed.", "closed."
    parts = (stage.nsec3(zone, zone), stage.covering(zone, name), stage.covering(zone, f"*.{zone}"))
    owners = list(dict.fromkeys(part[0].owner for part in parts))
    proof = [one for one in stage.denials(zone) if one.owner in owners and one.owner != owners[dropped % len(owners)]]
    stage.deny(name, A, proof, rcode=NXDOMAIN, zone=zone)

    assert stage.verdict(name) == "bogus"


def test_any_is_not_denied_where_any_type_exists(stage: Stage) -> None:
    stage.deny("www.sec.example.", ANY, stage.rrset("sec.example.", "www.sec.example.", NSEC), zone="sec.example.")

    assert stage.verdict("www.sec.example.", ANY) == "bogus"


def test_a_wildcards_denial_record_does_not_serve_under_another_name(stage: Stage) -> None:
    wild = stage.rrset("sec.example.", "*.wild.sec.example.", NSEC)
    for owner in ("host.wild.sec.example.", "a.wild.sec.example.", "*.a.wild.sec.example."):
        stage.deny("host.wild.sec.example.", A, renamed(wild, owner), zone="sec.example.")
        assert stage.verdict("host.wild.sec.example.") == "bogus"


def test_a_denial_record_signed_as_from_a_wildcard_is_none(stage: Stage) -> None:
    made = stage.signed(nsec("www.sec.example.", "zz.sec.example.", TXT, NSEC), "sec.example.", labels=2)
    stage.deny("www.sec.example.", A, made, zone="sec.example.")

    assert stage.verdict("www.sec.example.") == "bogus"


@pytest.mark.parametrize("following", ["example.", "zzz.example.", ".", "zz."])
@pytest.mark.parametrize("rcode", [0, NXDOMAIN])
def test_a_span_that_ends_outside_its_zone_covers_nothing(stage: Stage, following: str, rcode: int) -> None:
    made = stage.signed(nsec("sec.example.", following, NS, SOA, NSEC), "sec.example.")
    stage.deny("nothing.sec.example.", A, made, rcode=rcode, zone="sec.example.")

    assert stage.verdict("nothing.sec.example.") == "bogus"


def test_a_childs_span_covers_no_name_of_its_parent(stage: Stage) -> None:
    made = stage.signed(nsec("sec.example.", "sec.example.", NS, SOA, NSEC), "sec.example.")
    stage.deny("zzz.example.", A, made, rcode=NXDOMAIN, zone="example.")

    assert stage.verdict("zzz.example.") == "bogus"


def test_a_childs_record_at_its_parents_name_is_not_the_parents(stage: Stage) -> None:
    made = stage.signed(nsec("example.", "example.", NS, SOA, NSEC), "sec.example.")
    stage.deny("zzz.example.", A, made, rcode=NXDOMAIN, zone="example.")

    assert stage.verdict("zzz.example.") == "bogus"


def test_two_denial_records_at_one_name_prove_nothing(stage: Stage) -> None:
    two = nsec("www.sec.example.", "zz.sec.example.", TXT, NSEC) + nsec("www.sec.example.", "zz.sec.example.", A, NSEC)
    stage.deny("www.sec.example.", A, stage.signed(two, "sec.example."), zone="sec.example.")

    assert stage.verdict("www.sec.example.") == "bogus"


# --- hashes ---


def nsec3(
    zone: str, owner: bytes, following: bytes, types: bytes = b"", *, flags: int = 0, iterations: int = 0
) -> Rrset:
    alphabet = "0123456789abcdefghijklmnopqrstuv"
    number = int.from_bytes(owner, "big")
    label = "".join(alphabet[number >> shift & 31] for shift in range(155, -1, -5))
    rdata = bytes((1, flags)) + iterations.to_bytes(2, "big") + b"\0" + bytes((len(following),)) + following + types
    return [Record((*n(zone), label.encode()), NSEC3, 300, rdata)]


def plus(digest: bytes, by: int) -> bytes:
    return ((int.from_bytes(digest, "big") + by) % (1 << 160)).to_bytes(20, "big")


def hashed(name: str) -> bytes:
    return crypto.nsec3_hash(n(name), b"", 0)


def test_a_wrapping_span_covers_only_beyond_its_ends(stage: Stage) -> None:
    zone, name = "sec3.example.", "nothing.sec3.example."
    apex = stage.signed(nsec3(zone, hashed(zone), plus(hashed(zone), 1), b"\0\1\x22"), zone)
    target, wildcard = hashed(name), hashed(f"*.{zone}")
    beyond = stage.signed(nsec3(zone, plus(max(target, wildcard), 1), plus(min(target, wildcard), -1)), zone)
    around = stage.signed(nsec3(zone, plus(min(target, wildcard), -1), plus(max(target, wildcard), 1)), zone)

    stage.deny(name, A, apex + beyond, rcode=NXDOMAIN, zone=zone)
    assert stage.verdict(name) == "bogus"
    stage.deny(name, A, apex + around, rcode=NXDOMAIN, zone=zone)
    assert stage.verdict(name) == "secure"


def test_a_chain_of_one_record_covers_all_but_itself(stage: Stage) -> None:
    zone = "sec3.example."
    only = stage.signed(nsec3(zone, hashed(zone), hashed(zone), b"\0\1\x22"), zone)
    stage.deny(f"nothing.{zone}", A, only, rcode=NXDOMAIN, zone=zone)
    stage.deny(zone, A, only, rcode=NXDOMAIN, zone=zone)

    assert stage.verdict(f"nothing.{zone}") == "secure"
    assert stage.verdict(zone) == "bogus"


def test_a_span_bounds_cover_neither_end(stage: Stage) -> None:
    zone, name = "sec3.example.", "nothing.sec3.example."
    apex = stage.signed(nsec3(zone, hashed(zone), plus(hashed(zone), 1), b"\0\1\x22"), zone)
    wild = stage.signed(nsec3(zone, plus(hashed(f"*.{zone}"), -1), plus(hashed(f"*.{zone}"), 1)), zone)
    upto = stage.signed(nsec3(zone, plus(hashed(name), -1), hashed(name)), zone)
    stage.deny(name, A, apex + wild + upto, rcode=NXDOMAIN, zone=zone)

    assert stage.verdict(name) == "bogus"


@pytest.mark.parametrize("flaw", ["another zone's", "two labels", "other algorithm", "unknown flag", "short hash"])
def test_an_odd_nsec3_is_ignored(stage: Stage, flaw: str) -> None:
    zone = "sec3.example."
    good = nsec3(zone, hashed(zone), hashed(zone), b"\0\1\x22")[0]
    match flaw:
        case "another zone's":
            odd = nsec3("example.", hashed(zone), hashed(zone), b"\0\1\x22")[0]
        case "two labels":
            odd = replace(good, owner=(*n("wild.sec3.example."), good.owner[-1]))
        case "other algorithm":
            odd = replace(good, rdata=b"\2" + good.rdata[1:])
        case "unknown flag":
            odd = replace(good, rdata=good.rdata[:1] + b"\2" + good.rdata[2:])
        case _:
            odd = nsec3(zone, hashed(zone), hashed(zone)[:10], b"\0\1\x22")[0]
    stage.deny(f"nothing.{zone}", A, stage.signed([odd], zone), rcode=NXDOMAIN, zone=zone)

    assert stage.verdict(f"nothing.{zone}") == "bogus"


@pytest.mark.parametrize(
    ("iterations", "verdict"), [(150, "secure"), (151, "insecure"), (500, "insecure"), (501, "bogus")]
)
def test_iterations_beyond_the_limit_count_only_when_signed(stage: Stage, iterations: int, verdict: str) -> None:
    zone = "sec3.example."
    digest = crypto.nsec3_hash(n(zone), b"", iterations)
    made = nsec3(zone, digest, digest, b"\0\1\x22", iterations=iterations)
    stage.deny(f"nothing.{zone}", A, stage.signed(made, zone), rcode=NXDOMAIN, zone=zone)
    assert stage.verdict(f"nothing.{zone}") == verdict

    stage.deny(f"nothing.{zone}", A, stage.signed(made, zone, with_key=key("nobody")), rcode=NXDOMAIN, zone=zone)
    assert stage.verdict(f"nothing.{zone}") == "bogus"


# --- wildcards and label counts ---


@pytest.mark.parametrize("zone", ["sec.example.", "sec3.example."])
@pytest.mark.parametrize("proof", [False, True])
def test_a_wildcard_does_not_replace_a_name_that_exists(stage: Stage, zone: str, *, proof: bool) -> None:
    wild = renamed(stage.rrset(zone, f"*.wild.{zone}", A), f"host.wild.{zone}")
    stage.answer(f"host.wild.{zone}", A, wild, proof=stage.denials(zone) if proof else [])

    assert stage.verdict(f"host.wild.{zone}") == "bogus"


@pytest.mark.parametrize("zone", ["sec.example.", "sec3.example."])
def test_an_expansion_without_proof_is_bogus(stage: Stage, zone: str) -> None:
    stage.answer(f"a.wild.{zone}", A, renamed(stage.rrset(zone, f"*.wild.{zone}", A), f"a.wild.{zone}"))

    assert stage.verdict(f"a.wild.{zone}") == "bogus"


def test_a_wildcard_reaches_below_no_cut(stage: Stage) -> None:
    made = stage.signed(address("www.sec.example."), "example.", labels=1)
    stage.answer("www.sec.example.", A, made, proof=stage.denials("example."))

    assert stage.verdict("www.sec.example.") == "bogus"


@pytest.mark.parametrize("labels", [0, 1, 2, 4, 5, 255])
def test_a_wrong_label_count_is_bogus(stage: Stage, labels: int) -> None:
    stage.answer("www.sec.example.", A, stage.signed(address("www.sec.example."), "sec.example.", labels=labels))

    assert stage.verdict("www.sec.example.") == "bogus"


@pytest.mark.parametrize("rdtype", [DS, DNSKEY])
def test_what_starts_a_chain_never_comes_from_a_wildcard(stage: Stage, rdtype: int) -> None:
    zone, labels = ("example.", 1) if rdtype == DS else ("sec.example.", 2)
    data = [one for one in stage.rrset(zone, "sec.example.", rdtype) if not one.is_signature]
    if rdtype == DNSKEY:
        labels = 1
    stage.answer("sec.example.", rdtype, stage.signed(data, zone, labels=labels), proof=stage.denials("example."))

    assert stage.verdict("www.sec.example.") == "bogus"


def test_a_ds_is_not_replaced_by_an_expanded_alias(stage: Stage) -> None:
    stage["example."].add("*", "CNAME", "zzz.example.")
    stage.sign()
    wild = renamed(stage.rrset("example.", "*.example.", CNAME), "sec.example.")
    stage.answer("sec.example.", DS, wild, proof=stage.denials("example."))
    stage.answer("www.sec.example.", A, address("www.sec.example."))

    assert stage.verdict("www.sec.example.") == "bogus"


def test_a_ds_is_not_replaced_by_the_childs_alias(stage: Stage) -> None:
    stage.answer("sec.example.", DS, stage.signed(alias("sec.example.", "zzz.example."), "sec.example."))
    stage.answer("www.sec.example.", A, address("www.sec.example."))

    assert stage.verdict("www.sec.example.") == "bogus"
    assert stage.verdict("sec.example.", DS) == "bogus"


# --- who signs what ---


@pytest.mark.parametrize("zone", ["sec3.example.", "open.", "ins.example."])
def test_another_zones_key_signs_nothing_here(stage: Stage, zone: str) -> None:
    keys = stage[zone].keys or [key("nobody")]
    for signer in (n(zone), n("sec.example.")):
        made = stage.signed(address("www.sec.example."), "sec.example.", with_key=keys[-1], signer=signer)
        stage.answer("www.sec.example.", A, made)
        assert stage.verdict("www.sec.example.") == "bogus"


@pytest.mark.parametrize("signer", ["example.", "."])
def test_an_ancestor_does_not_sign_below_a_secure_cut(stage: Stage, signer: str) -> None:
    stage.answer("www.sec.example.", A, stage.signed(address("www.sec.example."), signer))

    assert stage.verdict("www.sec.example.") == "bogus"


@pytest.mark.parametrize("signer", ["example.", "."])
def test_an_ancestor_does_not_make_an_unsigned_zone_secure(stage: Stage, signer: str) -> None:
    stage.answer("www.ins.example.", A, stage.signed(address("www.ins.example."), signer))

    assert stage.verdict("www.ins.example.") != "secure"


def test_a_child_does_not_sign_its_ds(stage: Stage) -> None:
    evil = key("evil")
    digest = crypto.ds_digest(n("sec.example."), evil.record.to_digestable(), 2)
    tag = records.key_tag(evil.record.to_digestable())
    data = [Record(n("sec.example."), DS, 300, tag.to_bytes(2, "big") + b"\x0d\2" + (digest or b""))]
    stage.answer("sec.example.", DS, stage.signed(data, "sec.example."))

    assert stage.verdict("sec.example.", DS) == "bogus"
    assert stage.verdict("www.sec.example.") == "bogus"


def test_keys_of_the_attacker_sign_themselves_in_vain(stage: Stage) -> None:
    evil = key("evil")
    keys = [Record(n("sec.example."), DNSKEY, 300, evil.record.to_digestable())]
    stage.answer("sec.example.", DNSKEY, stage.signed(keys, "sec.example.", with_key=evil))
    stage.answer("www.sec.example.", A, stage.signed(address("www.sec.example."), "sec.example.", with_key=evil))

    assert stage.verdict("www.sec.example.") == "bogus"


def test_a_key_beside_the_genuine_set_is_not_trusted(stage: Stage) -> None:
    evil = key("evil", 256)
    genuine = stage.rrset("sec.example.", "sec.example.", DNSKEY)
    added = Record(n("sec.example."), DNSKEY, 300, evil.record.to_digestable())
    stage.answer("sec.example.", DNSKEY, [added, *genuine])
    stage.answer("www.sec.example.", A, stage.signed(address("www.sec.example."), "sec.example.", with_key=evil))

    assert stage.verdict("www.sec.example.") == "bogus"


def test_the_zone_signing_key_does_not_vouch_for_the_key_set(stage: Stage) -> None:
    data = [one for one in stage.rrset("sec.example.", "sec.example.", DNSKEY) if not one.is_signature]
    stage.answer("sec.example.", DNSKEY, stage.signed(data, "sec.example.", with_key=stage["sec.example."].keys[1]))

    assert stage.verdict("www.sec.example.") == "bogus"


@pytest.mark.parametrize(("flags", "protocol"), [(257 | 128, 3), (256 | 128, 3), (0, 3), (1, 3), (256, 2), (256, 0)])
def test_a_key_that_is_no_live_zone_key_signs_nothing(stage: Stage, flags: int, protocol: int) -> None:
    odd = key("odd", flags)
    rdata = bytearray(odd.record.to_digestable())
    rdata[2] = protocol
    data = [one for one in stage.rrset("sec.example.", "sec.example.", DNSKEY) if not one.is_signature]
    data.append(Record(n("sec.example."), DNSKEY, 300, bytes(rdata)))
    stage.answer("sec.example.", DNSKEY, stage.signed(data, "sec.example."))
    tag = records.key_tag(bytes(rdata))
    made = stage.signed(address("www.sec.example."), "sec.example.", with_key=odd, key_tag=tag)
    stage.answer("www.sec.example.", A, made)

    assert stage.verdict("www.sec.example.") == "bogus"


@pytest.mark.parametrize(("flags", "protocol"), [(257 | 128, 3), (0, 3), (257, 1)])
def test_a_ds_that_points_at_no_live_zone_key_starts_no_chain(stage: Stage, flags: int, protocol: int) -> None:
    odd = key("odd", flags)
    rdata = bytearray(odd.record.to_digestable())
    rdata[2] = protocol
    tag = records.key_tag(bytes(rdata))
    digest = crypto.ds_digest(n("sec.example."), bytes(rdata), 2) or b""
    stage.delegate("example.", "sec.example.", f"{tag} 13 2 {digest.hex()}")
    stage.sign()
    keys = [Record(n("sec.example."), DNSKEY, 300, bytes(rdata))]
    stage.answer("sec.example.", DNSKEY, stage.signed(keys, "sec.example.", with_key=odd, key_tag=tag))
    stage.answer(
        "www.sec.example.", A, stage.signed(address("www.sec.example."), "sec.example.", with_key=odd, key_tag=tag)
    )

    assert stage.verdict("www.sec.example.") == "bogus"


def test_a_colliding_key_takes_nothing_from_a_good_one(stage: Stage) -> None:
    good, other = colliding_keys()[0]
    zone = stage["sec.example."]
    zone.keys = [key("sec", algorithm=15), good]
    zone.published = [other]
    stage.delegate("example.", "sec.example.")
    stage.sign()

    assert stage.verdict("www.sec.example.") == "secure"
    stage.answer(
        "www.sec.example.", A, stage.signed(address("www.sec.example."), "sec.example.", with_key=key("x", 256, 15))
    )
    assert stage.verdict("www.sec.example.") == "bogus"


# --- downgrades ---


def test_a_sha1_ds_does_not_stand_in_for_a_sha2_ds(stage: Stage) -> None:
    evil = key("evil")
    rdata, owner = evil.record.to_digestable(), n("sec.example.")
    sha1 = (crypto.ds_digest(owner, rdata, 1) or b"").hex()
    stage.delegate(
        "example.", "sec.example.", f"{records.key_tag(rdata)} 13 1 {sha1}", *stage["sec.example."].ds_records()
    )
    stage.sign()
    keys = [Record(owner, DNSKEY, 300, rdata)]
    stage.answer("sec.example.", DNSKEY, stage.signed(keys, "sec.example.", with_key=evil))
    stage.answer("www.sec.example.", A, stage.signed(address("www.sec.example."), "sec.example.", with_key=evil))

    assert stage.verdict("www.sec.example.") == "bogus"


def test_an_unsigned_ds_of_unknown_algorithm_is_no_downgrade(stage: Stage) -> None:
    unknown = [Record(n("sec.example."), DS, 300, b"\1\2\xfd\2" + bytes(32))]
    genuine = [one for one in stage.rrset("example.", "sec.example.", DS) if one.is_signature]
    for signatures in ([], genuine):
        stage.answer("sec.example.", DS, unknown + signatures)
        stage.answer("www.sec.example.", A, address("www.sec.example."))
        assert stage.verdict("www.sec.example.") == "bogus"


def test_stripping_every_signature_below_a_ds_is_bogus(stage: Stage) -> None:
    stage.answer("www.sec.example.", A, address("www.sec.example."))

    assert stage.verdict("www.sec.example.") == "bogus"


def test_a_short_rsa_key_is_no_way_around_the_good_key_beside_it(stage: Stage) -> None:
    """Two DS: one for the good key, one for RSA of 512 bits. The attacker shows the short key alone."""
    short = b"\1\1\3\x08" + b"\3\1\0\1" + (2**511 + 1).to_bytes(64, "big")
    digest = (crypto.ds_digest(n("sec.example."), short, 2) or b"").hex()
    weak = f"{records.key_tag(short)} 8 2 {digest}"
    stage.delegate("example.", "sec.example.", *stage["sec.example."].ds_records(), weak)
    stage.sign()
    stage.answer("sec.example.", DNSKEY, [Record(n("sec.example."), DNSKEY, 300, short)])
    stage.answer("www.sec.example.", A, address("www.sec.example."))

    assert stage.verdict("www.sec.example.") == "bogus"


# --- time ---


def test_a_replay_from_before_the_ds_is_bogus_once_it_expired(stage: Stage) -> None:
    stage["example."].remove("sec", "DS")
    now = datetime.fromtimestamp(NOW, UTC)
    stage["example."].sign(now, inception=now - timedelta(days=20), expiration=now - timedelta(seconds=1))
    stage.made._pool.clear()
    denial = stage.denials("example.")
    stage.delegate("example.", "sec.example.")
    stage.sign()
    stage.deny("sec.example.", DS, denial, zone="example.")
    stage.answer("www.sec.example.", A, address("www.sec.example."))

    assert stage.verdict("www.sec.example.") == "bogus"


def test_a_replay_from_before_the_ds_is_never_secure(stage: Stage) -> None:
    stage["example."].remove("sec", "DS")
    stage.sign()
    denial = stage.denials("example.")
    stage.delegate("example.", "sec.example.")
    stage.sign()
    stage.deny("sec.example.", DS, denial, zone="example.")

    assert stage.verdict("www.sec.example.") == "insecure"


@pytest.mark.parametrize(
    ("inception", "expiration", "verdict"),
    [
        (NOW, NOW, "secure"),
        (NOW - 1, NOW - 1, "bogus"),
        (NOW + 1, NOW + 1, "bogus"),
        (NOW + 1, NOW - 1, "bogus"),
        (NOW - 10, NOW + 2**31 - 11, "secure"),
        (NOW - 10, NOW + 2**31, "bogus"),
        (NOW - 2**31 - 10, NOW + 10, "bogus"),
    ],
)
def test_times_are_compared_in_serial_arithmetic(stage: Stage, inception: int, expiration: int, verdict: str) -> None:
    made = stage.signed(address("www.sec.example."), "sec.example.", inception=inception, expiration=expiration)
    stage.answer("www.sec.example.", A, made)

    assert stage.verdict("www.sec.example.") == verdict


# --- aliases ---


def test_an_unsigned_alias_is_bogus(stage: Stage) -> None:
    stage.answer("www.sec.example.", A, alias("www.sec.example.", "www.sec3.example."))

    assert stage.verdict("www.sec.example.") == "bogus"


def test_a_synthesised_alias_must_follow_from_its_dname(stage: Stage) -> None:
    dname = stage.rrset("sec.example.", "moved.sec.example.", DNAME)
    stage.answer("www.moved.sec.example.", A, dname, alias("www.moved.sec.example.", "www.ins.example."))

    assert stage.verdict("www.moved.sec.example.") == "bogus"


def test_a_synthesised_alias_without_its_dname_is_bogus(stage: Stage) -> None:
    stage.answer("www.moved.sec.example.", A, alias("www.moved.sec.example.", "www.sec3.example."))

    assert stage.verdict("www.moved.sec.example.") == "bogus"


def test_a_dname_never_comes_from_a_wildcard(stage: Stage) -> None:
    made = stage.signed(alias("x.wild.sec.example.", "ins.example.", DNAME), "sec.example.", labels=3)
    stage.answer("www.x.wild.sec.example.", A, made, proof=stage.denials("sec.example."))

    assert stage.verdict("www.x.wild.sec.example.") == "bogus"


def test_a_chain_is_worth_its_weakest_link(stage: Stage) -> None:
    stage["sec.example."].add("leave", "CNAME", "www.ins.example.")
    stage.sign()

    assert stage.verdict("leave.sec.example.") == "insecure"
    stage.answer(
        "leave.sec.example.", A, stage.rrset("sec.example.", "leave.sec.example.", CNAME), address("www.ins.example.")
    )
    assert stage.verdict("leave.sec.example.") == "insecure"


@pytest.mark.parametrize("rcode", [0, NXDOMAIN])
def test_the_end_of_a_chain_is_denied_only_by_its_own_zone(stage: Stage, rcode: int) -> None:
    cname = stage.rrset("sec.example.", "also.sec.example.", CNAME)
    proof = stage.denials("sec.example.", "sec3.example.", "example.", ".")
    stage.answer("also.sec.example.", A, cname, proof=proof, rcode=rcode)

    assert stage.verdict("also.sec.example.") == "bogus"


# --- the response as a whole ---


def test_any_with_one_unsigned_rrset_is_bogus(stage: Stage) -> None:
    genuine = list(stage.made.message(n("www.sec.example."), ANY).answer)
    stage.answer("www.sec.example.", ANY, genuine, [Record(n("www.sec.example."), AAAA, 300, bytes(16))])

    assert stage.verdict("www.sec.example.", ANY) == "bogus"


def test_a_record_added_to_a_signed_rrset_is_bogus(stage: Stage) -> None:
    stage.answer("www.sec.example.", A, stage.rrset("sec.example.", "www.sec.example.", A), address("www.sec.example."))

    assert stage.verdict("www.sec.example.") == "bogus"


def test_records_that_nobody_asked_for_are_no_part_of_the_answer(stage: Stage) -> None:
    genuine = stage.rrset("sec.example.", "www.sec.example.", A)
    extra = [*address("www.sec3.example."), Record(n("www.sec.example."), AAAA, 300, bytes(16)), *address("bank.")]
    stage.answer("www.sec.example.", A, genuine, extra)

    result = stage.ask("www.sec.example.", A)

    assert result.verdict.value == "secure"
    assert result.records == [(n("www.sec.example."), A, bytes((192, 0, 2, 10)))]


@pytest.mark.parametrize("kept", [True, False])
def test_a_forged_soa_beside_a_genuine_denial_is_bogus(stage: Stage, *, kept: bool) -> None:
    """Its last field says for how long the denial is believed: with ``kept`` the genuine signature stands beside it."""
    soa, *signature = stage.rrset("sec.example.", "sec.example.", SOA)
    forged = [replace(soa, rdata=soa.rdata[:-4] + b"\0\0\xff\xff"), *(signature if kept else [])]
    stage.answer("www.sec.example.", AAAA, proof=forged + stage.rrset("sec.example.", "www.sec.example.", NSEC))

    assert stage.verdict("www.sec.example.", AAAA) == "bogus"


@pytest.mark.parametrize("owner", ["www.sec.example.", "example.", "a.www.sec.example."])
def test_a_soa_of_another_name_beside_a_denial_is_bogus(stage: Stage, owner: str) -> None:
    soa = renamed(stage.rrset("sec.example.", "sec.example.", SOA), owner)
    stage.answer("www.sec.example.", AAAA, proof=soa + stage.rrset("sec.example.", "www.sec.example.", NSEC))

    assert stage.verdict("www.sec.example.", AAAA) == "bogus"


@pytest.mark.parametrize("rdtype", [A, ANY])
def test_signed_data_count_for_what_they_say_whatever_the_rcode_is(stage: Stage, rdtype: int) -> None:
    data = stage.rrset("sec.example.", "www.sec.example.", A)
    stage.answer("www.sec.example.", rdtype, data, rcode=NXDOMAIN)
    result = stage.ask("www.sec.example.", rdtype)

    assert (result.verdict, result.rcode) == ("secure", "NOERROR")

    stage.answer("www.sec.example.", rdtype, [one for one in data if not one.is_signature], rcode=NXDOMAIN)
    assert stage.verdict("www.sec.example.", rdtype) == "bogus"


# --- unusual but legal ---


def test_names_in_capitals_are_the_same_names(stage: Stage) -> None:
    genuine = stage.made.message(n("a.wild.sec.example."), A)
    shouted = [
        [replace(one, owner=tuple(label.upper() for label in one.owner)) for one in part] for part in genuine.sections
    ]
    stage.answer("a.wild.sec.example.", A, shouted[0], proof=shouted[1])

    assert stage.verdict("a.wild.sec.example.") == "secure"


def test_lower_ttls_repeated_records_and_another_order_change_nothing(stage: Stage) -> None:
    stage["sec.example."].add("many", "A", "192.0.2.1", "192.0.2.2", "192.0.2.3")
    stage.sign()
    genuine = stage.rrset("sec.example.", "many.sec.example.", A)
    stage.answer("many.sec.example.", A, [replace(one, ttl=3) for one in (*reversed(genuine), genuine[0])])

    assert stage.verdict("many.sec.example.") == "secure"


def test_junk_signatures_do_not_mask_a_good_one(stage: Stage) -> None:
    genuine = stage.rrset("sec.example.", "www.sec.example.", A)
    junk = [replace(genuine[-1], rdata=genuine[-1].rdata[:-1] + bytes((octet,))) for octet in range(5)]
    stage.answer("www.sec.example.", A, genuine[:-1], junk, genuine[-1:])

    assert stage.verdict("www.sec.example.") == "secure"


def test_a_wildcard_that_is_an_empty_non_terminal_has_no_data(stage: Stage) -> None:
    stage["sec.example."].add("a.*.hollow", "A", "192.0.2.1")
    stage.sign()

    assert stage.verdict("b.hollow.sec.example.") == "secure"


def test_a_zone_of_one_name_denies_all_others(stage: Stage) -> None:
    stage["in.open."].data = {
        key: value for key, value in stage["in.open."].data.items() if key[0] == to_dns(n("in.open."))
    }
    stage.sign()

    assert from_dns(stage["in.open."].name) == n("in.open.")
    assert stage.verdict("nothing.in.open.") == "secure"
    assert stage.verdict("in.open.", A) == "secure"


def test_a_cut_below_an_empty_non_terminal_is_found(stage: Stage) -> None:
    stage.zone("far.off.sec.example.").add("www", "A", "192.0.2.9")
    stage.delegate("sec.example.", "far.off.sec.example.")
    stage.sign()

    assert stage.verdict("www.far.off.sec.example.") == "secure"
    stage.deny("far.off.sec.example.", DS, stage.denials("sec.example."), zone="sec.example.")
    stage.answer("www.far.off.sec.example.", A, address("www.far.off.sec.example."))
    assert stage.verdict("www.far.off.sec.example.") == "bogus"


class TestAncestor:
    """``example.`` signed data, then delegated ``eng.example.``: the attacker replays what it signed before."""

    HOST, APEX_HOST = "host.lab.eng.example.", "www.eng.example."

    def replayed(self, *, iterations: int = 0, signed: bool = True) -> Stage:
        made = Stage()
        made.zone(".")
        made.zone("example.")
        for name in ("host.lab.eng", "www.eng"):
            made["example."].add(name, "A", "192.0.2.99")
        made.delegate(".", "example.")
        made.sign()
        old = {name: made.rrset("example.", name, A) for name in (self.HOST, self.APEX_HOST)}
        for name in ("host.lab.eng", "www.eng"):
            made["example."].remove(name, "A")
        zone = made.zone("eng.example.", nsec3=Nsec3Params(iterations) if iterations else None, signed=signed)
        zone.add("host.lab", "A", "192.0.2.1")
        zone.add("www", "A", "192.0.2.2")
        made.delegate("example.", "eng.example.")
        made.sign()
        for name, rrset in old.items():
            made.answer(name, A, rrset)
        return made

    @pytest.mark.parametrize("iterations", [0, 200])
    def test_a_replay_is_not_secure_below_a_cut(self, iterations: int) -> None:
        made = self.replayed(iterations=iterations)

        assert made.verdict(self.HOST) != "secure"
        assert made.verdict(self.APEX_HOST) == "bogus"

    def test_a_replay_is_insecure_below_an_unsigned_cut(self) -> None:
        made = self.replayed(signed=False)

        assert {made.verdict(self.HOST), made.verdict(self.APEX_HOST)} == {"insecure"}

    @pytest.mark.parametrize("rdtype", [NS, SOA])
    def test_what_is_at_an_apex_alone_is_signed_there(self, rdtype: int) -> None:
        made = self.replayed()
        data = [record for record in made.rrset("eng.example.", "eng.example.", rdtype) if record.rdtype == rdtype]
        made.answer("eng.example.", rdtype, made.signed(data, "example."))

        assert made.verdict("eng.example.", rdtype) == "bogus"

    def test_all_data_at_an_apex_are_signed_there(self) -> None:
        made = self.replayed()
        forged = made.signed(address("eng.example."), "example.")
        made.answer("eng.example.", ANY, forged, made.rrset("eng.example.", "eng.example.", SOA))

        assert made.verdict("eng.example.", ANY) == "bogus"

    @pytest.mark.parametrize("rcode", [0, 2])
    def test_nothing_that_fails_below_a_cut_makes_it_overlooked(self, rcode: int) -> None:
        made = self.replayed()
        made.answer("lab.eng.example.", DS, rcode=rcode)

        assert made.verdict(self.HOST) != "secure"

    @pytest.mark.parametrize("rcode", [0, 2, 3])
    def test_a_cut_whose_keys_are_not_to_be_had_is_a_cut(self, rcode: int) -> None:
        made = self.replayed()
        made.answer("eng.example.", DNSKEY, rcode=rcode)

        assert made.verdict(self.HOST) != "secure"
        assert made.verdict(self.APEX_HOST) != "secure"

    def test_a_cut_whose_keys_are_forged_is_a_cut(self) -> None:
        made = self.replayed()
        evil = key("evil")
        keys = made.signed(
            [Record(n("eng.example."), DNSKEY, 300, evil.record.to_digestable())], "eng.example.", with_key=evil
        )
        made.answer("eng.example.", DNSKEY, keys)

        assert {made.verdict(self.HOST), made.verdict(self.APEX_HOST)} == {"bogus"}


def test_a_deep_name_costs_one_question_more_than_its_chain(stage: Stage) -> None:
    labels = ".".join("abcdefghijklmnopqrstuvwx")
    stage["sec3.example."].add(labels, "A", "192.0.2.1")
    stage.sign()

    assert stage.verdict(f"{labels}.sec3.example.") == "secure"
    assert stage.context is not None
    # A, DNSKEY of the root, DS and DNSKEY of two zones, DS of the owner's parent
    assert stage.context.budget.queries == 7


@pytest.mark.parametrize(("name", "rdtype"), [("sec.example.", DS), ("ins.example.", NSEC)])
def test_a_step_ends_with_the_signature_it_rests_on(stage: Stage, name: str, rdtype: int) -> None:
    data = [record for record in stage.rrset("example.", name, rdtype) if not record.is_signature]
    made = stage.signed(data, "example.", expiration=NOW + 60)
    if rdtype == DS:
        stage.answer(name, DS, made)
    else:
        stage.answer(name, DS, proof=made)
    nodes: dict[Name, ChainNode] = {}

    assert stage.verdict(f"www.{name}", nodes=nodes) == ("secure" if rdtype == DS else "insecure")
    assert nodes[n(name)].fresh_until == NOW + 60


class TestBelowDname:
    """``moved.sec.example. DNAME sec3.example.``; a CNAME made by a DNAME has no signature of its own."""

    def test_an_error_is_indeterminate(self, stage: Stage) -> None:
        stage.answer("www.moved.sec.example.", ANY, rcode=4)

        assert stage.verdict("www.moved.sec.example.", ANY) == "indeterminate"

    @pytest.mark.parametrize("rcode", [0, 3, 6])
    def test_the_rcode_decides_nothing_about_the_alias_that_was_asked_for(self, stage: Stage, rcode: int) -> None:
        honest = stage.made.message(n("www.moved.sec.example."), CNAME)
        stage.answer("www.moved.sec.example.", CNAME, list(honest.answer), rcode=rcode)

        assert stage.verdict("www.moved.sec.example.", CNAME) == "secure"


def test_an_error_behind_a_wildcard_that_iterates_too_often_is_not_bogus(stage: Stage) -> None:
    stage.zone("p.", nsec3=Nsec3Params(200)).add("*", "CNAME", "www.sec.example.")
    stage.delegate(".", "p.")
    stage.sign()
    stage.answer("foo.p.", A, rcode=2)

    assert stage.verdict("foo.p.") == "indeterminate"


@pytest.mark.parametrize("start", ["a.ins.example.", "b.sec.example."])
def test_a_loop_through_unsigned_space_is_no_fault_of_the_signed_zone(stage: Stage, start: str) -> None:
    stage["ins.example."].add("a", "CNAME", "b.sec.example.")
    stage["sec.example."].add("b", "CNAME", "a.ins.example.")
    stage.sign()

    assert stage.verdict(start) == "insecure"


@pytest.mark.parametrize("rcode", [0, 3])
def test_a_verdict_over_keys_can_be_had_again_from_its_evidence(stage: Stage, rcode: int) -> None:
    keys = stage.rrset("sec.example.", "sec.example.", DNSKEY) if rcode else []
    stage.answer("sec.example.", DNSKEY, keys, rcode=rcode)
    result = stage.ask("www.sec.example.", A)
    assert stage.context is not None
    judgement = make_judgement(stage.context, result, n("www.sec.example."), A, "here")
    evidence = evidence_of(stage.context, result, n("www.sec.example."), A)

    again = replay(evidence)

    assert (judgement.verdict, judgement.reasons) == (again.verdict, again.reasons)
    assert judgement.verdict == ("secure" if rcode else "bogus")
