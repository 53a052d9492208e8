"""Examples printed in the RFCs, typed in from there: keys, digests, signatures, hashes, denials."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from dns.rdtypes.ANY.RRSIG import RRSIG

from collector.dnssec import crypto, names, records
from collector.dnssec.anchors import parse_anchors
from collector.dnssec.budget import Budget
from collector.dnssec.context import Context
from collector.dnssec.fault import Fault
from collector.dnssec.message import Response, read_response
from collector.dnssec.nsec import NsecDenial
from collector.dnssec.nsec3 import Nsec3Denial
from collector.dnssec.policy import Policy
from collector.dnssec.proof import ProofOutcome
from collector.dnssec.questions import Ask, FetchFailure, Reply, drive
from collector.dnssec.records import Nsec, Nsec3, RRset, Signature, key_tag, parse_key
from collector.dnssec.signatures import Verified, verify_rrset
from collector.dnssec.validation import ValidationResult, validate

LENIENT = Policy(profile="legacy", rsa_min_bits=512)


def wire(rdtype: str, text: str) -> bytes:
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(rdtype), text).to_digestable()


def signature(text: str) -> Signature:
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.RRSIG, text)
    assert isinstance(rdata, RRSIG)
    octets = rdata.to_digestable()
    return Signature(
        int(rdata.type_covered), int(rdata.algorithm), rdata.labels, rdata.original_ttl, rdata.expiration,
        rdata.inception, rdata.key_tag, names.from_text(str(rdata.signer)), rdata.signature,
        octets[: len(octets) - len(rdata.signature)],
    )  # fmt: skip


def posix(text: str) -> int:
    return int(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())


def verify(owner: str, rdtype: str, data: str, rrsig: str, zone: str, dnskey: str, now: str) -> Verified | Fault:
    rrset = RRset(
        names.from_text(owner), records.type_from_text(rdtype), 3600, (wire(rdtype, data),), (signature(rrsig),)
    )
    key = parse_key(wire("DNSKEY", dnskey))
    assert key is not None
    return verify_rrset(
        rrset, names.from_text(zone), [key], now=posix(now), policy=LENIENT, budget=Budget(LENIENT)
    )  # fmt: skip


ED25519 = "1440021600 1438207200"
SIGNED = [
    pytest.param(
        "www.example.net", "A", "192.0.2.91",
        "A 10 3 3600 20300101000000 20000101000000 3740 example.net. tsb4wnjRUDnB1BUi+t6TMTXThjVnG+eCkWqjvvjhzQL1d0YRoOe0"
        "CbxrVDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm/zpq+9fOuagYJRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fth"
        "PgxdDLw=",
        "example.net",
        "256 3 10 AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMrZDt"
        "JCQ5PCl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTSncorffcGmhOL",
        "20100101000000",
        id="RFC 5702 §6.2 RSA/SHA-512",
    ),
    pytest.param(
        "www.example.net", "A", "192.0.2.1",
        "A 13 3 3600 20100909100439 20100812100439 55648 example.net. qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3S"
        "NruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
        "example.net",
        "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
        "20100901000000",
        id="RFC 6605 §6.1 ECDSA P-256",
    ),
    pytest.param(
        "www.example.net", "A", "192.0.2.1",
        "A 14 3 3600 20100909102025 20100812102025 10771 example.net. /L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQou"
        "uroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm",
        "example.net",
        "257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F"
        "6Glur8I/mlVNgF6W/qTI37m40",
        "20100901000000",
        id="RFC 6605 §6.2 ECDSA P-384",
    ),
    pytest.param(
        "example.com", "MX", "10 mail.example.com.",
        f"MX 15 2 3600 {ED25519} 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23m"
        "RZ9VrbpMngwcrqNAg==",
        "example.com", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", "20150810000000",
        id="RFC 8080 §6.1 Ed25519, first (erratum 4935)",
    ),
    pytest.param(
        "example.com", "MX", "10 mail.example.com.",
        f"MX 15 2 3600 {ED25519} 35217 example.com. zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7g"
        "D7AQR0O7KuI5k2pcBg==",
        "example.com", "257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=", "20150810000000",
        id="RFC 8080 §6.1 Ed25519, second (erratum 4935)",
    ),
    pytest.param(
        "example.com", "MX", "10 mail.example.com.",
        f"MX 16 2 3600 {ED25519} 9713 example.com. 3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6"
        "SKiwZSAxGILn/NBtOXft0+Gj7FSvOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA",
        "example.com", "257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA",
        "20150810000000",
        id="RFC 8080 §6.2 Ed448, first (erratum 4935)",
    ),
    pytest.param(
        "example.com", "MX", "10 mail.example.com.",
        f"MX 16 2 3600 {ED25519} 38353 example.com. E1/oLjSGIbmLny/4fcgM1z4oL6aqo+izT3urCyHyvEp4Sp8Syg1eI+lJ57CSnZqjJP41"
        "O/9l4m0AsQ4f7qI1gVnML8vWWiyW2KXhT9kuAICUSxv5OWbf81Rq7Yu60npabODB0QFPb/rkW3kUZmQ0YQUA",
        "example.com", "257 3 16 kkreGWoccSDmUBGAe7+zsbG6ZAFQp+syPmYUurBRQc3tDjeMCJcVMRDmgcNLp5HlHAMy12VoISsA",
        "20150810000000",
        id="RFC 8080 §6.2 Ed448, second (erratum 4935)",
    ),
    pytest.param(
        "example", "NSEC", "a.example. NS SOA MX RRSIG NSEC DNSKEY",
        "NSEC 5 1 3600 20040509183619 20040409183619 38519 example. O0k558jHhyrC97ISHnislm4kLMW48C7U7cBmFTfhke5iVqNRVTB1"
        "STLMpgpbDIC9hcryoO0VZ9ME5xPzUEhbvGnHd5sfzgFVeGxr5Nyyq4tWSDBgIBiLQUv1ivy29vhXy7WgR62dPrZ0PWvmjfFJ5arXf4nPxp/kEow"
        "GgBRzY/U=",
        "example",
        "256 3 5 AQOy1bZVvpPqhg4j7EJoM9rI3ZmyEx2OzDBVrZy/lvI5CQePxXHZS4i8dANH4DX3tbHol61ek8EFMcsGXxKciJFHyhl94C+NwILQdzsU"
        "lSFovBZsyl/NX6yEbtw/xN9ZNcrbYvgjjZ/UVPZIySFNsgEYvh0z2542lzMKR4Dh8uZffQ==",
        "20040420000000",
        id="RFC 4035 App. A, the apex's NSEC",
    ),
    pytest.param(
        "a.z.w.example", "MX", "1 ai.example.",
        "MX 5 2 3600 20040509183619 20040409183619 38519 example. OMK8rAZlepfzLWW75Dxd63jy2wswESzxDKG2f9AMN1CytCd10cYISA"
        "xfAdvXSZ7xujKAtPbctvOQ2ofO7AZJ+d01EeeQTVBPq4/6KCWhqe2XTjnkVLNvvhnc0u28aoSsG0+4InvkkOHknKxw4kX18MMR34i8lC36SR5xB"
        "ni8vHI=",
        "example",
        "256 3 5 AQOy1bZVvpPqhg4j7EJoM9rI3ZmyEx2OzDBVrZy/lvI5CQePxXHZS4i8dANH4DX3tbHol61ek8EFMcsGXxKciJFHyhl94C+NwILQdzsU"
        "lSFovBZsyl/NX6yEbtw/xN9ZNcrbYvgjjZ/UVPZIySFNsgEYvh0z2542lzMKR4Dh8uZffQ==",
        "20040420000000",
        id="RFC 4035 App. B.6, expanded from a wildcard",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "rdtype", "data", "rrsig", "zone", "dnskey", "now"), SIGNED)
def test_printed_signatures_verify(
    owner: str, rdtype: str, data: str, rrsig: str, zone: str, dnskey: str, now: str
) -> None:
    verified = verify(owner, rdtype, data, rrsig, zone, dnskey, now)

    assert isinstance(verified, Verified)
    wildcard = owner.startswith("a.z.w")
    assert verified.encloser == (names.from_text("w.example") if wildcard else None)


@pytest.mark.parametrize(("owner", "rdtype", "data", "rrsig", "zone", "dnskey", "now"), SIGNED)
def test_printed_signatures_end(
    owner: str, rdtype: str, data: str, rrsig: str, zone: str, dnskey: str, now: str
) -> None:
    assert verify(owner, rdtype, data, rrsig, zone, dnskey, "20310101000000") != verify(
        owner, rdtype, data, rrsig, zone, dnskey, now
    )


DSKEY = (
    "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+"
    "X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw=="
)


@pytest.mark.parametrize(
    ("owner", "dnskey", "ds"),
    [
        pytest.param(
            "dskey.example.com", DSKEY, "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", id="RFC 4034 §5.4"
        ),
        pytest.param(
            "dskey.example.com", DSKEY,
            "60485 5 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A", id="RFC 4509 §2.3",
        ),
        pytest.param(
            "example.net", "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
            "55648 13 2 B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17", id="RFC 6605 §6.1",
        ),
        pytest.param(
            "example.net",
            "257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8r"
            "p65F6Glur8I/mlVNgF6W/qTI37m40",
            "10771 14 4 72D7B62976CE06438E9C0BF319013CF801F09ECC84B8D7E9495F27E305C6A9B0563A9B5F4D288405C3008A946DF983D6",
            id="RFC 6605 §6.2",
        ),
        pytest.param(
            "example.com", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
            "3613 15 2 3AA5AB37EFCE57F737FC1627013FEE07BDF241BD10F3B1964AB55C78E79A304B", id="RFC 8080 §6.1",
        ),
    ],
)  # fmt: skip
def test_printed_tags_and_digests(owner: str, dnskey: str, ds: str) -> None:
    rdata = wire("DNSKEY", dnskey)
    tag, _algorithm, digest_type, digest = ds.split()

    assert key_tag(rdata) == int(tag)
    computed = crypto.ds_digest(names.from_text(owner), rdata, int(digest_type))
    assert computed is not None
    assert computed.hex().upper() == digest


def test_the_tag_of_algorithm_1_is_part_of_the_modulus() -> None:
    """RFC 4034 App. B.1."""
    rdata = wire("DNSKEY", "256 3 1 " + base64.b64encode(bytes(range(1, 70))).decode())

    assert key_tag(rdata) == int.from_bytes(rdata[-3:-1], "big")


# RFC 5155 App. A: the names of the example zone and their hashes, 12 extra iterations, salt aabbccdd.
HASHES = {
    "example": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
    "a.example": "35mthgpgcu1qg68fab165klnsnk3dpvl",
    "ai.example": "gjeqe526plbf1g8mklp59enfd789njgi",
    "ns1.example": "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
    "ns2.example": "q04jkcevqvmu85r014c7dkba38o0ji5r",
    "w.example": "k8udemvp1j2f7eg6jebps17vp3n8i58h",
    "*.w.example": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
    "x.w.example": "b4um86eghhds6nea196smvmlo4ors995",
    "y.w.example": "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
    "x.y.w.example": "2vptu5timamqttgl4luu9kg21e0aor3s",
    "xx.example": "t644ebqk9bibcna874givr6joj62mlhv",
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
}
SALT, ITERATIONS = bytes.fromhex("aabbccdd"), 12
TYPES = {
    "example": "NS SOA MX RRSIG DNSKEY NSEC3PARAM",
    "a.example": "NS DS RRSIG",
    "ai.example": "A HINFO AAAA RRSIG",
    "ns1.example": "A RRSIG",
    "ns2.example": "A RRSIG",
    "w.example": "",
    "*.w.example": "MX RRSIG",
    "x.w.example": "MX RRSIG",
    "y.w.example": "",
    "x.y.w.example": "MX RRSIG",
    "xx.example": "A HINFO AAAA RRSIG",
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example": "A RRSIG",
}


@pytest.mark.parametrize(("name", "hashed"), HASHES.items())
def test_printed_hashes(name: str, hashed: str) -> None:
    assert crypto.nsec3_hash(names.from_text(name), SALT, ITERATIONS) == int(hashed, 32).to_bytes(20, "big")


def nsec3(name: str) -> Nsec3:
    """Return the record of App. A for a name; all have the opt-out flag there."""
    ordered = sorted(HASHES.values())
    owner = HASHES[name]
    following = ordered[(ordered.index(owner) + 1) % len(ordered)]
    types = frozenset(map(records.type_from_text, TYPES[name].split()))
    octets = [int(one, 32).to_bytes(20, "big") for one in (owner, following)]
    return Nsec3(octets[0], octets[1], types, ITERATIONS, SALT, True)


def denial3(*owners: str) -> Nsec3Denial:
    return Nsec3Denial(names.from_text("example"), [nsec3(owner) for owner in owners], Budget(Policy()), {})


class TestRfc5155AppB:
    def test_b1_name_error(self) -> None:
        proofs = denial3("example", "x.w.example", "a.example")

        assert proofs.prove_nxdomain(names.from_text("a.c.x.w.example")).outcome is ProofOutcome.OPT_OUT
        for left_out in range(3):
            rest = [one for n, one in enumerate(("example", "x.w.example", "a.example")) if n != left_out]
            assert denial3(*rest).prove_nxdomain(names.from_text("a.c.x.w.example")).outcome is ProofOutcome.FAILED

    def test_b2_no_data(self) -> None:
        proofs = denial3("ns1.example")

        assert proofs.prove_nodata(names.from_text("ns1.example"), 15).outcome is ProofOutcome.PROVEN
        assert proofs.prove_nodata(names.from_text("ns1.example"), records.A).outcome is ProofOutcome.FAILED

    def test_b2_1_no_data_at_an_empty_non_terminal(self) -> None:
        assert (
            denial3("y.w.example").prove_nodata(names.from_text("y.w.example"), records.A).outcome
            is ProofOutcome.PROVEN
        )

    def test_b3_referral_to_an_opt_out_unsigned_zone(self) -> None:
        proofs = denial3("a.example", "example")

        assert proofs.prove_no_ds(names.from_text("c.example")).outcome is ProofOutcome.OPT_OUT

    def test_b4_wildcard_expansion(self) -> None:
        found = denial3("ns2.example").prove_no_closer_match(
            names.from_text("a.z.w.example"), names.from_text("w.example")
        )

        assert found.outcome is ProofOutcome.OPT_OUT

    def test_b5_wildcard_no_data(self) -> None:
        proofs = denial3("w.example", "ns2.example", "*.w.example")

        assert proofs.prove_nodata(names.from_text("a.z.w.example"), records.AAAA).outcome is ProofOutcome.OPT_OUT
        assert proofs.prove_nodata(names.from_text("a.z.w.example"), 15).outcome is ProofOutcome.FAILED

    def test_b6_ds_of_the_child_zone(self) -> None:
        """The apex's own NSEC3 does not speak for the DS at its parent."""
        assert denial3("example").prove_nodata(names.from_text("example"), records.DS).outcome is ProofOutcome.FAILED


# RFC 4035 App. A: the NSEC chain of the example zone.
CHAIN = (
    ("example", "NS SOA MX RRSIG NSEC DNSKEY"),
    ("a.example", "NS DS RRSIG NSEC"),
    ("ai.example", "A HINFO AAAA RRSIG NSEC"),
    ("b.example", "NS RRSIG NSEC"),
    ("ns1.example", "A RRSIG NSEC"),
    ("ns2.example", "A RRSIG NSEC"),
    ("*.w.example", "MX RRSIG NSEC"),
    ("x.w.example", "MX RRSIG NSEC"),
    ("x.y.w.example", "MX RRSIG NSEC"),
    ("xx.example", "A HINFO AAAA RRSIG NSEC"),
)


def denial(*owners: str) -> NsecDenial:
    order = [owner for owner, _ in CHAIN]
    chain = []
    for owner in owners:
        following = order[(order.index(owner) + 1) % len(order)]
        types = frozenset(map(records.type_from_text, dict(CHAIN)[owner].split()))
        chain.append(Nsec(names.from_text(owner), names.from_text(following), types))
    return NsecDenial(names.from_text("example"), chain)


class TestRfc4035AppB:
    def test_the_chain_is_in_canonical_order(self) -> None:
        assert sorted(names.from_text(owner) for owner, _ in CHAIN) == [names.from_text(owner) for owner, _ in CHAIN]

    def test_b2_name_error(self) -> None:
        name = names.from_text("ml.example")

        assert denial("b.example", "example").prove_nxdomain(name).outcome is ProofOutcome.PROVEN
        assert denial("b.example").prove_nxdomain(name).outcome is ProofOutcome.FAILED
        assert denial("example").prove_nxdomain(name).outcome is ProofOutcome.FAILED

    def test_b3_no_data(self) -> None:
        assert denial("ns1.example").prove_nodata(names.from_text("ns1.example"), 15).outcome is ProofOutcome.PROVEN

    def test_b4_referral_to_a_signed_zone_has_a_ds(self) -> None:
        assert denial("a.example").prove_no_ds(names.from_text("a.example")).outcome is ProofOutcome.FAILED

    def test_b5_referral_to_an_unsigned_zone(self) -> None:
        assert denial("b.example").prove_no_ds(names.from_text("b.example")).outcome is ProofOutcome.CUT

    def test_b6_wildcard_expansion(self) -> None:
        proofs = denial("x.y.w.example")

        assert (
            proofs.prove_no_closer_match(names.from_text("a.z.w.example"), names.from_text("w.example")).outcome
            is ProofOutcome.PROVEN
        )

    def test_b7_wildcard_no_data(self) -> None:
        proofs = denial("x.y.w.example", "*.w.example")

        assert proofs.prove_nodata(names.from_text("a.z.w.example"), records.AAAA).outcome is ProofOutcome.PROVEN
        assert proofs.prove_nodata(names.from_text("a.z.w.example"), 15).outcome is ProofOutcome.FAILED

    def test_b8_ds_of_the_child_zone(self) -> None:
        assert denial("example").prove_nodata(names.from_text("example"), records.DS).outcome is ProofOutcome.FAILED

    def test_an_ancestor_delegation_says_nothing_below_its_cut(self) -> None:
        """RFC 6840 §4.1."""
        below = names.from_text("www.a.example")

        assert denial("a.example", "example").prove_nxdomain(below).outcome is ProofOutcome.FAILED
        assert denial("a.example").prove_nodata(below, records.A).outcome is ProofOutcome.FAILED


RFC9102 = Path(__file__).parents[3] / "shared" / "conformance" / "rfc9102"


@pytest.mark.skipif(not RFC9102.is_dir(), reason=f"needs {RFC9102}, which comes beside a checkout")
@pytest.mark.parametrize("path", sorted(RFC9102.glob("A.*.zone")), ids=lambda path: path.stem)
def test_rfc9102_appendix_a(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    anchor = lines[0].removeprefix("; trust anchor: ")
    words = lines[1].split()
    verdict, qname, qtype = words[words.index("expected") + 1 : words.index("expected") + 4]
    at = datetime.fromisoformat(words[-1].replace("Z", "+00:00"))
    anchors = parse_anchors(anchor, path.stem)
    context = Context(int(at.timestamp()), anchors, Policy(), Budget(Policy()), {})
    result = conclude(lines, context, qname, qtype.rstrip(","), denied=verdict.endswith("nxdomain"))

    assert result.verdict == verdict.partition("-")[0], result.weakest.reason


def conclude(lines: list[str], context: Context, qname: str, qtype: str, *, denied: bool) -> ValidationResult:
    questions = validate(context, names.from_text(qname), records.type_from_text(qtype))
    absent = names.from_text(qname) if denied else None
    return drive(questions, lambda asked: answer_from(lines, asked, denied=asked.name == absent))


def answer_from(lines: list[str], asked: Ask, *, denied: bool) -> Reply:
    """Answer from a bag of records as a resolver would: the RRset (by way of aliases), or all that denies."""
    import dns.message
    import dns.rrset

    query = dns.message.make_query(
        names.to_text(asked.name), dns.rdatatype.RdataType.make(asked.rdtype), want_dnssec=True
    )
    message = dns.message.make_response(query, our_payload=1232)
    found: list[dns.rrset.RRset] = []
    for line in lines:
        if line.startswith(";") or not line.strip():
            continue
        owner, ttl, rdclass, rdtype, rdata = line.split(None, 4)
        one = dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, rdata)
        match = next((r for r in found if (r.name, r.rdtype, r.covers) == (one.name, one.rdtype, one.covers)), None)
        if match is None:
            found.append(one)
        else:
            match.add(one[0])
    name = query.question[0].name
    for _ in range(8):
        mine = [r for r in found if r.name == name and asked.rdtype in (r.rdtype, r.covers)]
        dname = [
            r
            for r in found
            if dns.rdatatype.DNAME in (r.rdtype, r.covers) and name.is_subdomain(r.name) and name != r.name
        ]
        alias = [r for r in found if r.name == name and dns.rdatatype.CNAME in (r.rdtype, r.covers)]
        message.answer += [r for r in mine or dname + alias if r not in message.answer]
        if mine or not (alias or dname):
            break
        target = next((r for r in alias + dname if r.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.DNAME)), None)
        if target is None:
            return FetchFailure("timeout", "nothing leads on")
        if target.rdtype == dns.rdatatype.DNAME:
            name = name.relativize(target.name).concatenate(target[0].target)
        else:
            name = target[0].target
    if denied:
        message.set_rcode(dns.rcode.NXDOMAIN)
    denies = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3, dns.rdatatype.SOA)
    message.authority = [r for r in found if r.rdtype in denies or r.covers in denies]
    reply = read_response(message.to_wire(max_size=65535))
    assert isinstance(reply, Response)
    return reply
