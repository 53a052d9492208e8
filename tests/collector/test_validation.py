"""Verdicts on small worlds, with exact reason and cause; the table of docs/reasons.md is played here."""

from datetime import timedelta
from pathlib import Path

import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from dns.rdatatype import RdataType

from anchorwatch.lab.zones import Nsec3Params, Zone, generate_key
from collector.dnssec import names
from collector.dnssec.anchors import TrustAnchors, parse_anchors
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, FetchFailure
from schemas.catalogue import CATALOGUE
from tests.support.lab import AT, Bend, Lab

NSEC3 = Nsec3Params()
OPT_OUT = Nsec3Params(opt_out=True)


def drop(rdtype: str, *, covering: str | None = None, section: str = "answer", at: str | None = None) -> Bend:
    """Return a bend that takes RRsets of a type out of every response."""

    def bend(asked: Ask, message: dns.message.Message) -> None:
        rrsets = getattr(message, section)
        for rrset in list(rrsets):
            fits = rrset.rdtype == RdataType[rdtype] and (covering is None or rrset.covers == RdataType[covering])
            if fits and (at is None or rrset.name == dns.name.from_text(at)):
                rrsets.remove(rrset)

    return bend


def locally(host: str, address: str, zone: str = "") -> Bend:
    """Return a bend of a resolver that answers a host, or all of a zone, by itself and unsigned."""

    def bend(asked: Ask, message: dns.message.Message) -> None:
        name = dns.name.from_text(names.to_text(asked.name))
        if name != dns.name.from_text(host) and not (zone and name.is_subdomain(dns.name.from_text(zone))):
            return
        message.set_rcode(dns.rcode.NOERROR)
        message.answer, message.authority = [], []
        if name == dns.name.from_text(host) and asked.rdtype == RdataType.A:
            message.answer = [dns.rrset.from_text(name, 60, "IN", "A", address)]

    return bend


class TestSecure:
    @pytest.mark.parametrize("nsec3", [None, NSEC3, OPT_OUT, Nsec3Params(10, b"\xab\xcd")])
    def test_data_nodata_and_nxdomain(self, nsec3: Nsec3Params | None) -> None:
        lab = Lab(nsec3)

        assert lab.judge("www.zone.test").verdict == "secure"
        assert lab.judge("www.zone.test", "TXT").verdict == "secure"
        judgement = lab.judge("nope.zone.test")
        assert judgement.verdict == ("insecure" if nsec3 and nsec3.opt_out else "secure")
        assert judgement.rcode == "NXDOMAIN"

    def test_the_chain_is_told_from_the_root_down(self) -> None:
        judgement = Lab().judge("www.zone.test")

        assert [link.zone for link in judgement.chain] == [".", "test.", "zone.test."]
        assert all(link.verdict == "secure" and link.keys and link.ds and link.expires_at for link in judgement.chain)
        assert judgement.answers == ("www.zone.test. A 192.0.2.1",)
        assert judgement.reasons == ()
        assert judgement.expires_at is not None
        assert judgement.expires_at <= AT + timedelta(days=14)

    @pytest.mark.parametrize("nsec3", [None, NSEC3])
    def test_a_wildcard_with_its_proof(self, nsec3: Nsec3Params | None) -> None:
        lab = Lab(nsec3)
        lab.zone.add("*.w", "A", "192.0.2.9")
        lab.sign()

        assert lab.judge("deep.below.w.zone.test").verdict == "secure"
        assert lab.judge("deep.w.zone.test", "TXT").verdict == "secure"

    @pytest.mark.parametrize("nsec3", [None, NSEC3])
    def test_an_empty_non_terminal(self, nsec3: Nsec3Params | None) -> None:
        lab = Lab(nsec3)
        lab.zone.add("a.b.c", "A", "192.0.2.9")
        lab.sign()

        judgement = lab.judge("b.c.zone.test")

        assert (judgement.verdict, judgement.rcode) == ("secure", "NOERROR")

    def test_aliases_by_cname_and_dname(self) -> None:
        lab = Lab()
        lab.zone.add("alias", "CNAME", "www.zone.test.")
        lab.zone.add("tree", "DNAME", "zone.test.")
        lab.sign()

        assert lab.judge("alias.zone.test").verdict == "secure"
        judgement = lab.judge("www.tree.zone.test")
        assert judgement.verdict == "secure"
        assert [link.type for link in judgement.links] == ["DNAME", "A"]

    @pytest.mark.parametrize("nsec3", [None, NSEC3])
    def test_a_denial_tells_which_other_types_the_name_lacks(self, nsec3: Nsec3Params | None) -> None:
        lab = Lab(nsec3)
        lab.zone.add("*.w", "TXT", "x")
        lab.zone.add("a.b", "A", "192.0.2.9")
        lab.zone.add("alias", "CNAME", "www.zone.test.")
        lab.sign()

        def denied(name: str, rdtype: str = "AAAA") -> set[str]:
            return set(lab.judge(f"{name}.zone.test", rdtype).denies)

        others = {"CNAME", "HTTPS", "MX", "SRV", "SVCB", "TLSA", "TXT"}
        assert denied("www") == others, "it has an A record"
        assert denied("alias") == others, "so has the alias' target"
        assert denied("x.w") == {"A", *others} - {"TXT"}, "what the wildcard has"
        assert denied("b") == denied("nope") == {"A", *others}
        assert denied("nope", "A") == {"AAAA", *others}
        assert denied("www", "A") == set(), "data deny nothing"

    def test_what_is_not_proven_denies_nothing(self) -> None:
        opted_out, insecure, stripped = Lab(OPT_OUT), Lab(), Lab()
        insecure.sign(ds=False)
        stripped.bend = drop("NSEC", section="authority")

        for lab in (opted_out, insecure, stripped):
            judgement = lab.judge("nope.zone.test", "AAAA")
            assert (judgement.verdict != "secure", judgement.denies) == (True, ())

    def test_leaf_names_are_never_asked_for_a_ds(self) -> None:
        lab = Lab()

        lab.judge("www.zone.test")

        assert names.from_text("www.zone.test") not in {asked.name for asked in lab.asked if asked.rdtype == 43}


class TestInsecure:
    @pytest.mark.parametrize("nsec3", [None, NSEC3, OPT_OUT])
    def test_a_delegation_without_ds(self, nsec3: Nsec3Params | None) -> None:
        lab = Lab(nsec3)
        lab.sign(ds=False)

        judgement = lab.judge("www.zone.test")

        assert judgement.verdict == "insecure"
        expected = "opt_out_span" if nsec3 is OPT_OUT else "unsigned_delegation"
        assert (judgement.reasons[0].code, judgement.cause_zone) == (expected, "zone.test.")

    def test_an_alias_out_of_signed_space(self) -> None:
        lab = Lab()
        lab.world.add(Zone(dns.name.from_text("cdn.test."))).add("edge", "A", "198.51.100.1")
        lab.world.zones[dns.name.from_text("cdn.test.")].sign(AT)
        lab.tld.add("cdn", "NS", "ns.test.")
        lab.zone.add("app", "CNAME", "edge.cdn.test.")
        lab.sign()

        judgement = lab.judge("app.zone.test")

        assert judgement.verdict == "insecure"
        assert [(r.code, r.zone) for r in judgement.reasons] == [
            ("unsigned_delegation", "cdn.test."),
            ("alias_exits_signed_space", "zone.test."),
        ]
        assert [link.verdict for link in judgement.links] == ["secure", "insecure"]

    def test_a_zone_signed_by_sha1_only_and_the_other_profile(self) -> None:
        lab = Lab()
        lab.zone.keys = [generate_key(7, entry=True)]
        lab.sign()

        judgement = lab.judge("www.zone.test")

        assert (judgement.verdict, judgement.reasons[0].code) == ("insecure", "algorithm_unsupported")
        assert judgement.reasons[0].ede == 1
        assert lab.judge("www.zone.test", policy=Policy(profile="legacy")).verdict == "secure"

    def test_a_ds_with_an_unknown_digest_only(self) -> None:
        lab = Lab()
        lab.tld.add("zone", "DS", lab.zone.ds_records()[0].replace(" 13 2 ", " 13 9 "))
        lab.tld.sign(AT)

        judgement = lab.judge("www.zone.test")

        assert (judgement.verdict, judgement.reasons[0].code) == ("insecure", "algorithm_unsupported")
        assert judgement.reasons[0].ede == 2

    @pytest.mark.parametrize(
        ("iterations", "verdict"),
        [
            (0, "secure"),
            (10, "secure"),
            (100, "secure"),
            (150, "secure"),
            (151, "insecure"),
            (500, "insecure"),
            (501, "bogus"),
        ],
    )
    def test_iterations_at_the_limits(self, iterations: int, verdict: str) -> None:
        lab = Lab()
        lab.zone.nsec3 = Nsec3Params(iterations)
        lab.sign()

        judgement = lab.judge("nope.zone.test")

        assert judgement.verdict == verdict
        if iterations > 150:
            assert judgement.reasons[0].code == "nsec3_iterations_over_limit"
            assert judgement.reasons[0].ede == 27
        elif iterations:
            assert "nsec3_params_poor" in {remark.code for remark in judgement.remarks}

    @pytest.mark.parametrize("iterations", [0, 150, 151, 500])
    def test_an_answer_needs_no_denial_however_often_that_iterates(self, iterations: int) -> None:
        lab = Lab()
        lab.zone.nsec3 = Nsec3Params(iterations)
        lab.zone.add("a.b.c", "A", "192.0.2.9")
        lab.sign()

        assert lab.judge("a.b.c.zone.test").verdict == "secure"


def expired(lab: Lab) -> None:
    end = AT - timedelta(minutes=1)
    lab.zone.sign(AT, inception=end - timedelta(days=9), expiration=end)


def not_yet_valid(lab: Lab) -> None:
    lab.zone.sign(AT, inception=AT + timedelta(days=2), expiration=AT + timedelta(days=9))


def inverted(lab: Lab) -> None:
    lab.zone.sign(AT, inception=AT + timedelta(days=1), expiration=AT - timedelta(days=1))


def forged(lab: Lab) -> None:
    key = (dns.name.from_text("www.zone.test."), RdataType.A)
    lab.zone.rrsets[key] = dns.rrset.from_text("www.zone.test.", 60, "IN", "A", "203.0.113.1")


def unsigned(lab: Lab) -> None:
    lab.zone.signatures.pop((dns.name.from_text("www.zone.test."), RdataType.A))


def other_keys(lab: Lab) -> None:
    lab.zone.keys = [generate_key(13, entry=True), generate_key(13)]
    lab.zone.sign(AT)


def keys_gone(lab: Lab) -> None:
    lab.zone.rrsets.pop((lab.zone.name, RdataType.DNSKEY))


def wrong_digest(lab: Lab) -> None:
    ds = lab.zone.ds_records()[0]
    lab.tld.add("zone", "DS", ds[:-2] + ("00" if ds[-2:] != "00" else "11"))
    lab.tld.sign(AT)


def revoked(lab: Lab) -> None:
    key = generate_key(13, entry=True)
    lab.zone.keys = [type(key)(key.private, 13, 257 | 0x80)]
    lab.sign()


def no_zone_key(lab: Lab) -> None:
    key = generate_key(13)
    lab.zone.keys = [type(key)(key.private, 13, 0)]
    lab.sign()


def denial_gone(lab: Lab) -> None:
    lab.bend = drop("NSEC", section="authority")


def denial_unsigned(lab: Lab) -> None:
    lab.bend = drop("RRSIG", covering="NSEC", section="authority")


def denial_of_another_name(lab: Lab) -> None:
    lab.zone.add("zzz", "A", "192.0.2.3")
    lab.sign()
    stolen = lab.world.resolve(dns.name.from_text("zzz.zone.test."), RdataType.TXT).authority

    def bend(asked: Ask, message: dns.message.Message) -> dns.message.Message:
        if asked.name == names.from_text("nope.zone.test"):
            message.authority = stolen
        return message

    lab.bend = bend


def wildcard_unproven(lab: Lab) -> None:
    lab.zone.add("*", "A", "192.0.2.3")
    lab.sign()
    lab.bend = drop("NSEC", section="authority", at="*.zone.test.")


def alias_loop(lab: Lab) -> None:
    lab.zone.add("nope", "CNAME", "loop.zone.test.")
    lab.zone.add("loop", "CNAME", "nope.zone.test.")
    lab.sign()


def other_anchor(lab: Lab) -> None:
    lab.root.keys = [generate_key(13, entry=True)]
    lab.root.sign(AT)


def crowded_delegation(lab: Lab) -> None:
    lab.tld.add("zone", "DS", *[f"{n} 13 2 {'ab' * 32}" for n in range(12)], lab.zone.ds_records()[0])
    lab.tld.sign(AT)


def signer_that_is_no_zone(lab: Lab) -> None:
    def bend(asked: Ask, message: dns.message.Message) -> None:
        for number, rrset in enumerate(list(message.answer)):
            if rrset.rdtype == RdataType.RRSIG and asked.rdtype == 1:
                moved = [one.replace(signer=dns.name.from_text("www.zone.test.")) for one in rrset]
                message.answer[number] = dns.rrset.from_rdata_list(rrset.name, rrset.ttl, moved)

    lab.bend = bend


def cname_against_dname(lab: Lab) -> None:
    lab.zone.add("tree", "DNAME", "zone.test.")
    lab.sign()

    def bend(asked: Ask, message: dns.message.Message) -> None:
        for number, rrset in enumerate(list(message.answer)):
            if rrset.rdtype == RdataType.CNAME:
                message.answer[number] = dns.rrset.from_text(rrset.name, 60, "IN", "CNAME", "evil.test.")

    lab.bend = bend


def with_iterations(lab: Lab, iterations: int) -> None:
    lab.zone.nsec3 = Nsec3Params(iterations)
    lab.sign()


def iterations_too_many(lab: Lab) -> None:
    with_iterations(lab, 151)


def iterations_far_too_many(lab: Lab) -> None:
    with_iterations(lab, 501)


def ds_removed(lab: Lab) -> None:
    lab.sign(ds=False)


def opted_out(lab: Lab) -> None:
    lab.zone.nsec3 = OPT_OUT
    lab.sign()


def sha1_only(lab: Lab) -> None:
    lab.zone.keys = [generate_key(7, entry=True)]
    lab.sign()


def declared_unsigned(lab: Lab) -> None:
    lab.policy = Policy(negative_trust_anchors=("zone.test",))


def nothing_trusted(lab: Lab) -> None:
    lab.anchors = TrustAnchors({})


def signatures_asked_for(lab: Lab) -> None:
    lab.rdtype = "RRSIG"


def private_name(lab: Lab) -> None:
    lab.bend = locally("vault.corp.internal", "10.1.2.3")


def key_set_unfetched(lab: Lab) -> None:
    def bend(asked: Ask, message: dns.message.Message) -> FetchFailure | dns.message.Message:
        unfetched = asked.rdtype == RdataType.DNSKEY and asked.name == names.from_text("zone.test")
        return FetchFailure("timeout", "no answer") if unfetched else message

    lab.bend = bend


def everything_stripped(lab: Lab) -> None:
    def bend(asked: Ask, message: dns.message.Message) -> None:
        for section in (message.answer, message.authority):
            section[:] = [r for r in section if r.rdtype not in (RdataType.RRSIG, RdataType.NSEC, RdataType.NSEC3)]

    lab.bend = bend


TABLE = Path(__file__).parents[2] / "docs" / "reasons.md"
ROWS = [
    tuple(cell.strip() for cell in line.strip("| \n").split("|"))
    for line in TABLE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| code")
]
DECISIVE = {
    *["rrsig_expired", "rrsig_not_yet_valid", "rrsig_window_inverted", "rrsig_crypto_invalid", "rrsig_missing"],
    *["rrsig_signer_invalid", "dnskey_missing", "dnskey_not_zone_key", "dnskey_revoked_in_use", "ds_dnskey_mismatch"],
    *["denial_missing", "denial_invalid", "wildcard_proof_invalid", "alias_chain_broken", "trust_anchor_mismatch"],
    *["validation_budget_exceeded", "nsec3_iterations_over_limit", "unsigned_delegation", "opt_out_span"],
    *["algorithm_unsupported", "negative_trust_anchor", "no_trust_anchor", "type_never_signed"],
    *["verdict_indeterminate", "vantage_strips_dnssec", "locally_served"],
}


@pytest.mark.parametrize(("code", "verdict", "scenario", "name", "zone"), ROWS, ids=[row[2] for row in ROWS])
def test_every_reason_has_its_scenario(code: str, verdict: str, scenario: str, name: str, zone: str) -> None:
    lab = Lab()
    globals()[scenario](lab)

    judgement = lab.judge(name, lab.rdtype, lab.policy)

    assert (judgement.verdict, judgement.reasons[0].code, judgement.cause_zone) == (verdict, code, zone)


def test_every_code_that_can_decide_is_in_the_table() -> None:
    assert {row[0] for row in ROWS} == DECISIVE
    assert all(code in CATALOGUE for code in DECISIVE)


@pytest.mark.parametrize("rdtype", ["DS", "DNSKEY"])
def test_a_signed_set_of_the_chain_counts_whatever_the_rcode_is(rdtype: str) -> None:
    lab = Lab()

    def bend(asked: Ask, message: dns.message.Message) -> None:
        if asked.rdtype == RdataType[rdtype] and asked.name == names.from_text("zone.test"):
            message.set_rcode(dns.rcode.NXDOMAIN)

    lab.bend = bend

    assert lab.judge("www.zone.test").verdict == "secure"


@pytest.mark.parametrize(("ds", "verdict"), [(True, "bogus"), (False, "insecure")])
def test_an_alias_that_contradicts_itself_is_bogus_only_where_it_is_signed(ds: bool, verdict: str) -> None:
    lab = Lab()
    cname_against_dname(lab)
    lab.sign(ds=ds)

    judgement = lab.judge("www.tree.zone.test")

    assert (judgement.verdict, judgement.reasons[0].code) == (verdict, "alias_chain_broken")


class TestIndeterminate:
    @pytest.mark.parametrize("unfetched", ["DNSKEY", "DS"])
    @pytest.mark.parametrize("kind", ["timeout", "rcode"])
    def test_what_can_not_be_fetched_is_never_bogus(self, unfetched: str, kind: str) -> None:
        lab = Lab()

        def bend(asked: Ask, message: dns.message.Message) -> FetchFailure | dns.message.Message:
            if asked.rdtype != RdataType[unfetched] or asked.name != names.from_text("zone.test"):
                return message
            if kind == "timeout":
                return FetchFailure("timeout", "no answer")
            message.set_rcode(dns.rcode.SERVFAIL)
            return message

        lab.bend = bend

        judgement = lab.judge("www.zone.test")

        assert judgement.verdict == "indeterminate"
        assert (judgement.reasons[0].code, judgement.cause_zone) == ("verdict_indeterminate", "zone.test.")

    def test_servfail_for_the_name_hangs_on_its_zone(self) -> None:
        lab = Lab()
        lab.world.broken.add(lab.zone.name)

        judgement = lab.judge("www.zone.test")

        assert judgement.verdict == "indeterminate"
        assert judgement.cause_zone == "zone.test."

    def test_stripping_below_a_ds_is_bogus(self) -> None:
        lab = Lab()

        def bend(asked: Ask, message: dns.message.Message) -> None:
            if names.is_at_or_below(asked.name, names.from_text("zone.test")) and asked.rdtype != 43:
                message.answer[:] = [r for r in message.answer if r.rdtype != RdataType.RRSIG]

        lab.bend = bend

        judgement = lab.judge("www.zone.test")

        assert (judgement.verdict, judgement.reasons[0].code) == ("bogus", "rrsig_missing")


def test_a_parent_and_child_on_one_server_need_a_proven_cut() -> None:
    """No referral shows the cut; the child's data are unsigned, and only the parent's proof makes that insecure."""
    lab = Lab()
    lab.world.add(Zone(dns.name.from_text("sub.zone.test."))).add("www", "A", "192.0.2.7")
    lab.world.zones[dns.name.from_text("sub.zone.test.")].sign(AT)
    lab.zone.add("sub", "NS", "ns.test.")
    lab.sign()
    assert lab.judge("www.sub.zone.test").verdict == "insecure"

    del lab.world.zones[dns.name.from_text("sub.zone.test.")]
    lab.zone.remove("sub", "NS")
    lab.zone.add("sub", "A", "192.0.2.8")
    lab.sign()

    def bend(asked: Ask, message: dns.message.Message) -> dns.message.Message:
        if asked.rdtype == 1:
            message.answer = [dns.rrset.from_text("www.sub.zone.test.", 60, "IN", "A", "192.0.2.7")]
            message.authority = []
            message.set_rcode(dns.rcode.NOERROR)
        return message

    lab.bend = bend
    judgement = lab.judge("www.sub.zone.test")
    assert (judgement.verdict, judgement.reasons[0].code) == ("bogus", "rrsig_missing")


def test_questions_are_bounded() -> None:
    lab = Lab()
    deep = ".".join("abcdefghijklmnopqrstuvwxyz" * 4)

    def bend(asked: Ask, message: dns.message.Message) -> dns.message.Message:
        if asked.rdtype == 1:
            message.answer = [dns.rrset.from_text(f"{deep}.zone.test.", 60, "IN", "A", "192.0.2.7")]
            message.authority = []
            message.set_rcode(dns.rcode.NOERROR)
        return message

    lab.zone.add(deep, "TXT", "x")
    lab.sign()
    lab.bend = bend

    judgement = lab.judge(f"{deep}.zone.test")

    assert judgement.verdict == "bogus"
    assert judgement.reasons[0].code == "validation_budget_exceeded"
    assert len(lab.asked) <= 100


class TestNamesThatAreNotPublic:
    @pytest.mark.parametrize("host", ["vault.corp.internal", "redis.prod.svc.cluster.local", "redis", "nas.home.arpa"])
    @pytest.mark.parametrize("rdtype", ["A", "AAAA"])
    def test_what_the_resolver_answers_by_itself_is_insecure_with_that_reason(self, host: str, rdtype: str) -> None:
        lab = Lab()
        lab.bend = locally(host, "10.1.2.3")

        judgement = lab.judge(host, rdtype)

        assert (judgement.verdict, judgement.reasons[0].code) == ("insecure", "locally_served")
        assert "unsigned_zones: [" in judgement.reasons[0].detail

    def test_a_resolver_that_has_the_whole_private_zone_is_proven_by_what_lies_beside_it(self) -> None:
        lab = Lab()
        lab.bend = locally("vault.corp.internal", "10.1.2.3", zone="internal")

        assert lab.judge("vault.corp.internal").reasons[0].code == "locally_served"

    def test_too_many_iterations_beside_a_private_zone_prove_nothing_of_it(self) -> None:
        lab = Lab()
        lab.root.nsec3 = Nsec3Params(200)
        lab.sign()
        lab.bend = locally("vault.corp.internal", "10.1.2.3", zone="internal")

        assert lab.judge("vault.corp.internal").verdict == "bogus"

    def test_a_private_name_that_is_proven_absent_is_securely_so(self) -> None:
        judgement = Lab().judge("vault.corp.internal")

        assert (judgement.verdict, judgement.rcode) == ("secure", "NXDOMAIN")

    @pytest.mark.parametrize("nsec3", [None, Nsec3Params()], ids=["NSEC", "NSEC3"])
    def test_what_a_wildcard_of_the_zone_above_gives_is_not_private(self, nsec3: Nsec3Params | None) -> None:
        lab = Lab()
        lab.root.nsec3 = nsec3
        lab.root.add("*", "A", "192.0.2.9")
        lab.sign()
        lab.bend = locally("vault", "203.0.113.66")

        assert lab.judge("vault").verdict == "bogus", "the root signs an address for every name that is not there"

    def test_below_a_secure_delegation_no_name_is_private(self) -> None:
        lab = Lab()
        lab.bend = locally("vault.zone.test", "10.1.2.3")

        assert lab.judge("vault.zone.test").verdict == "bogus", "test. is special, and signed here"
        lab.bend = locally("vault.nothing.test", "10.1.2.3")
        assert lab.judge("vault.nothing.test").verdict == "bogus"

    def test_a_public_name_is_not_private_because_it_is_absent(self) -> None:
        lab = Lab()
        lab.bend = locally("www.bank.example", "203.0.113.66")

        assert lab.judge("www.bank.example").verdict == "bogus"

    def test_a_private_top_level_name_that_is_signed_is_not_answered_locally(self) -> None:
        lab = Lab()
        internal = lab.world.add(Zone(dns.name.from_text("internal."), keys=list(Lab.KEYS[2])))
        internal.add("@", "NS", "ns.test.")
        internal.sign(AT)
        lab.root.add("internal", "NS", "ns.test.")
        lab.root.add("internal", "DS", *internal.ds_records())
        lab.sign()
        lab.bend = locally("vault.internal", "10.1.2.3")

        assert lab.judge("vault.internal").verdict == "bogus"
        lab.bend = locally("vault.internal", "10.1.2.3", zone="internal")
        assert lab.judge("vault.internal").verdict == "bogus"


def test_anchors_that_match_no_key_are_normal_around_a_rollover_of_the_root() -> None:
    lab = Lab()
    retired = Zone(dns.name.from_text("."), keys=[generate_key(8, entry=True)])
    lines = [f". IN DS {ds}" for ds in (*lab.root.ds_records(), *retired.ds_records())]
    lab.anchors = parse_anchors("\n".join(lines), "two")

    judgement = lab.judge("www.zone.test")

    assert (judgement.verdict, judgement.remarks) == ("secure", ())


def test_a_key_of_a_refused_size_that_signs_everything_is_named_as_the_cause() -> None:
    lab = Lab()
    small, long = generate_key(8, entry=True, bits=1024), generate_key(8, entry=True, bits=2048)
    lab.zone.keys = [small, long]
    ds = lab.zone.ds_records()
    lab.zone.keys = [small]
    lab.zone.sign(AT)
    lab.zone.rrsets[lab.zone.name, RdataType.DNSKEY].add(long.record)
    rrset = lab.zone.rrsets[lab.zone.name, RdataType.DNSKEY]
    signature = lab.zone.sign_rrset(rrset, small, AT - timedelta(days=1), AT + timedelta(days=1))
    lab.zone.signatures[lab.zone.name, RdataType.DNSKEY] = dns.rrset.from_rdata(lab.zone.name, rrset.ttl, signature)
    lab.tld.remove("zone", "DS")
    lab.tld.add("zone", "DS", *ds)
    lab.tld.sign(AT)

    judgement = lab.judge("www.zone.test", policy=Policy(rsa_min_bits=2048))

    assert judgement.verdict == "bogus"
    assert "(RSA, 1024 bits)" in judgement.reasons[0].detail
    assert "2048 to 4096 bits are supported" in judgement.reasons[0].detail


def test_a_key_of_the_root_that_no_anchor_is_for_is_named_from_the_day_it_is_published() -> None:
    lab = Lab()
    new = generate_key(13, entry=True)
    lab.root.keys = [*lab.root.keys, new]
    lab.sign()

    judgement = lab.judge("www.zone.test")

    assert judgement.verdict == "secure"
    (remark,) = judgement.remarks
    assert (remark.code, remark.zone, remark.rrset) == ("trust_anchor_outdated", ".", "")
    assert "no configured trust anchor is for it" in remark.detail


def test_a_new_key_of_the_root_that_is_held_already_is_not_named() -> None:
    lab = Lab()
    new = Zone(dns.name.from_text("."), keys=[generate_key(13, entry=True)])
    lines = [f". IN DS {ds}" for ds in (*lab.root.ds_records(), *new.ds_records())]
    lab.anchors = parse_anchors("\n".join(lines), "two")
    lab.root.keys = [*lab.root.keys, *new.keys]
    lab.sign()

    assert lab.judge("www.zone.test").remarks == ()


class TestSignedByTwo:
    """Of two signatures over the data one does not count. Data live for an hour, keys for two."""

    WWW = (dns.name.from_text("www.zone.test."), RdataType.A)

    def lab(self) -> Lab:
        lab = Lab()
        lab.zone.remove("www", "A")
        lab.zone.ttl = 7200
        lab.zone.add("www", "A", "192.0.2.1", ttl=3600)
        lab.zone.keys = [*lab.zone.keys, generate_key(13)]
        lab.sign()
        return lab

    def test_one_whose_key_is_not_there_waits_for_as_long_as_caches_may_show_it(self) -> None:
        lab = self.lab()
        by_both = lab.zone.signatures[self.WWW]
        lab.zone.keys = lab.zone.keys[:-1]
        lab.sign()
        lab.zone.signatures[self.WWW] = by_both

        judgement = lab.judge("www.zone.test")

        assert judgement.verdict == "secure"
        (remark,) = judgement.remarks
        assert (remark.code, remark.lag_s) == ("rrsig_partial_invalid", 7200)
        assert "are by keys that zone.test. does not have" in remark.detail

    def test_one_that_does_not_hold_with_its_key_waits_for_nothing(self) -> None:
        lab = self.lab()
        first, *others = lab.zone.signatures[self.WWW]
        lab.zone.signatures[self.WWW] = dns.rrset.from_rdata_list(
            self.WWW[0], 3600, [first.replace(signature=bytes(64)), *others]
        )

        judgement = lab.judge("www.zone.test")

        assert judgement.verdict == "secure"
        (remark,) = judgement.remarks
        assert (remark.code, remark.lag_s) == ("rrsig_partial_invalid", 0)
        assert "do not verify" in remark.detail
