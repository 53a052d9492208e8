"""Which keys a zone is said to sign with, and until when caches keep its data: what holds, not what is claimed."""

from datetime import timedelta

import dns.dnssec
import dns.message
import dns.name
import dns.rrset
import pytest
from dns.rdatatype import RdataType

from anchorwatch.lab.zones import SigningKey, Zone, generate_key
from collector.dnssec import names
from collector.dnssec.questions import Ask
from tests.support.lab import AT, Bend, Lab

ZONE = names.from_text("zone.test")
NOW = int(AT.timestamp())


def tag_of(key: SigningKey) -> int:
    return dns.dnssec.key_id(key.record)


def claims(key: SigningKey, *types: str) -> Bend:
    """Return a bend that adds signatures in the name of a key, each a copy of a good one."""

    def bend(asked: Ask, message: dns.message.Message) -> None:
        for rrset in list(message.answer):
            if rrset.rdtype == RdataType.RRSIG and RdataType.to_text(rrset.covers) in types:
                first = next(iter(rrset))
                rrset.add(first.replace(key_tag=tag_of(key)))

    return bend


def lab_with(*more: SigningKey) -> Lab:
    """Return a world whose zone has further keys in its key set, which sign nothing."""
    lab = Lab()
    dnskeys = lab.zone.rrsets[lab.zone.name, RdataType.DNSKEY]
    for key in more:
        dnskeys.add(key.record)
    entry = lab.KEYS[2][0]
    signature = lab.zone.sign_rrset(dnskeys, entry, AT - timedelta(days=1), AT + timedelta(days=13))
    lab.zone.signatures[lab.zone.name, RdataType.DNSKEY] = dns.rrset.from_rdata(lab.zone.name, dnskeys.ttl, signature)
    return lab


def test_a_key_in_whose_name_data_carry_a_false_signature_does_not_sign_them() -> None:
    old = generate_key(13)
    lab = lab_with(old)
    lab.bend = claims(old, "A")

    assert lab.judge("www.zone.test").verdict == "secure"
    (signers,) = lab.context.signings[ZONE]
    assert [tag for tag, _ in signers] == [tag_of(lab.KEYS[2][1])]


def test_a_key_in_whose_name_the_key_set_carries_a_false_signature_does_not_sign_it() -> None:
    old = generate_key(13, entry=True)
    lab = lab_with(old)
    lab.bend = claims(old, "DNSKEY")

    judgement = lab.judge("www.zone.test")

    assert judgement.verdict == "secure"
    assert judgement.chain[-1].signed_by == (tag_of(lab.KEYS[2][0]),)


def test_all_keys_that_sign_count_whatever_the_ds_set_points_at() -> None:
    lab = Lab()
    (entry, key), more = lab.KEYS[2], (generate_key(13, entry=True), generate_key(13))
    ds = lab.zone.ds_records()
    lab.zone.keys = [entry, key, *more]
    lab.zone.sign(AT)
    lab.tld.remove("zone", "DS")
    lab.tld.add("zone", "DS", *ds)
    lab.tld.sign(AT)

    judgement = lab.judge("www.zone.test")

    assert set(judgement.chain[-1].signed_by) == {tag_of(entry), tag_of(more[0])}
    (signers,) = lab.context.signings[ZONE]
    assert {tag for tag, _ in signers} == {tag_of(key), tag_of(more[1])}


def test_a_signature_of_an_algorithm_that_no_key_has_yet_is_noted() -> None:
    """RFC 6781 §4.1.4: signatures of the new algorithm come before its keys."""
    lab, new = Lab(), generate_key(15)
    owner = dns.name.from_text("www.zone.test.")
    rrset = lab.zone.rrsets[owner, RdataType.A]
    made = lab.zone.sign_rrset(rrset, new, AT - timedelta(days=1), AT + timedelta(days=13))
    lab.zone.signatures[owner, RdataType.A].add(made)

    assert lab.judge("www.zone.test").verdict == "secure"
    assert set(lab.context.signings[ZONE]) == {tuple(sorted([(tag_of(lab.KEYS[2][1]), 13), (tag_of(new), 15)]))}


@pytest.mark.parametrize("ttl_s", [86_400, 2**31 - 1])
def test_caches_keep_data_no_longer_than_their_signature_says(ttl_s: int) -> None:
    """RFC 4035 §5.3.3: the TTL of a message is not signed; the original TTL and the end of the signature are."""

    def longer(asked: Ask, message: dns.message.Message) -> None:
        for rrset in message.answer:
            rrset.ttl = ttl_s

    lab = Lab()
    original_ttl_s = lab.zone.rrsets[dns.name.from_text("www.zone.test."), RdataType.A].ttl
    lab.bend = longer

    lab.judge("www.zone.test")

    assert set(lab.context.signings[ZONE].values()) == {NOW + original_ttl_s}


def test_caches_keep_data_no_longer_than_their_signature_lasts() -> None:
    lab = Lab()
    lab.zone.sign(AT, expiration=AT + timedelta(seconds=20))

    lab.judge("www.zone.test")

    assert set(lab.context.signings[ZONE].values()) == {NOW + 20}


class TestChildrenOfAnUnsignedZone:
    """The DS went first, as it should, and the zone still signs: what lies in zones below it says nothing of that."""

    def test_a_child_that_is_signed_by_itself_does_not_sign_for_its_parent(self) -> None:
        lab = self.lab_with_child(keys=[generate_key(13, entry=True)])

        assert lab.judge("www.cdn.zone.test").verdict == "insecure"
        assert ZONE not in lab.context.signings

    def test_the_owners_of_unsigned_data_are_named(self) -> None:
        lab = self.lab_with_child(keys=[])

        assert lab.judge("www.cdn.zone.test").verdict == "insecure"
        assert lab.context.unsigned == {ZONE: {names.from_text("www.cdn.zone.test")}}

    def lab_with_child(self, keys: list[SigningKey]) -> Lab:
        lab = Lab()
        child = lab.world.add(Zone(dns.name.from_text("cdn.zone.test."), keys=keys))
        child.add("@", "NS", "ns.test.")
        child.add("www", "A", "192.0.2.7")
        child.sign(AT)
        lab.zone.add("cdn", "NS", "ns.test.")
        lab.sign(ds=False)
        return lab
