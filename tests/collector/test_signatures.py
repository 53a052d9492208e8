import itertools
from datetime import UTC, datetime, timedelta

import dns.message
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from anchorwatch.lab.zones import SigningKey, Zone, generate_key
from collector.dnssec import names, records
from collector.dnssec.budget import Budget
from collector.dnssec.fault import Fault
from collector.dnssec.message import read_response
from collector.dnssec.policy import Policy
from collector.dnssec.records import KeyRecord, RRset, Signature, parse_key
from collector.dnssec.signatures import (
    Verified,
    absolute_time,
    check_window,
    label_count,
    lenient_skew_s,
    serial_lt,
    verify_rrset,
)
from collector.dnssec.wording import describe

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW = int(AT.timestamp())
ZONE = names.from_text("example")


def signed(keys: list[SigningKey], **window: datetime) -> tuple[RRset, list[KeyRecord]]:
    """Return www.example A signed by every key, and the keys as records."""
    zone = Zone(dns.name.from_text("example."), keys=keys)
    zone.add("www", "A", "192.0.2.1")
    zone.sign(AT, **window)
    key = (dns.name.from_text("www.example."), dns.rdatatype.A)
    message = dns.message.make_response(dns.message.make_query("www.example.", "A"))
    message.answer = [zone.rrsets[key], zone.signatures[key]]
    rrset = read_response(message.to_wire()).answer[names.from_text("www.example"), records.A]
    parsed = [parse_key(one.record.to_digestable()) for one in keys]
    return rrset, [one for one in parsed if one is not None]


def verify(
    rrset: RRset, keys: list[KeyRecord], policy: Policy | None = None, now: int = NOW, **kwargs: bool
) -> Verified | Fault:
    policy = policy or Policy()
    return verify_rrset(rrset, ZONE, keys, now=now, policy=policy, budget=Budget(policy), **kwargs)


class TestSerialArithmetic:
    @given(st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))
    def test_adding_less_than_half_the_circle_is_later(self, serial: int, step: int) -> None:
        assert serial_lt(serial, (serial + step) & 0xFFFFFFFF)
        assert not serial_lt((serial + step) & 0xFFFFFFFF, serial)

    @given(st.integers(2**31, 2**40), st.integers(-(2**31) + 1, 2**31 - 1))
    def test_absolute_time_is_the_nearest(self, now: int, offset: int) -> None:
        assert absolute_time((now + offset) & 0xFFFFFFFF, now) == now + offset

    def test_a_window_over_the_wrap_in_2106_holds(self) -> None:
        signature = replace(BARE, inception=2**32 - 100, expiration=100)

        assert check_window(signature, 2**32 - 1, 0) is None
        assert check_window(signature, 2**32 + 50, 0) is None
        assert check_window(signature, 2**32 + 101, 0) == "rrsig_expired"
        assert check_window(signature, 2**32 - 101, 0) == "rrsig_not_yet_valid"


BARE = Signature(1, 13, 2, 60, 2000, 1000, 1, ZONE, b"", b"")


class TestWindow:
    @pytest.mark.parametrize(
        ("now", "code"),
        [(999, "rrsig_not_yet_valid"), (1000, None), (1500, None), (2000, None), (2001, "rrsig_expired")],
    )
    def test_both_edges_belong_to_it(self, now: int, code: str | None) -> None:
        assert check_window(BARE, now, 0) == code

    def test_an_inverted_window_is_named(self) -> None:
        assert check_window(replace(BARE, inception=2000, expiration=1000), 1500, 0) == "rrsig_window_inverted"

    def test_skew_is_forgiven_at_both_edges(self) -> None:
        assert check_window(BARE, 990, 10) is None
        assert check_window(BARE, 2010, 10) is None
        assert check_window(BARE, 2011, 10) == "rrsig_expired"

    @pytest.mark.parametrize(
        ("lifetime_s", "skew_s"), [(60, 3600), (36000, 3600), (360_000, 36_000), (30 * 86400, 86_400)]
    )
    def test_leniency_is_a_tenth_between_an_hour_and_a_day(self, lifetime_s: int, skew_s: int) -> None:
        assert lenient_skew_s(replace(BARE, inception=0, expiration=lifetime_s)) == skew_s


@pytest.mark.parametrize("algorithm", [8, 10, 13, 14, 15, 16])
def test_every_supported_algorithm_verifies(algorithm: int) -> None:
    rrset, keys = signed([generate_key(algorithm)])

    assert isinstance(verify(rrset, keys), Verified)


def test_one_valid_signature_of_several_is_enough() -> None:
    rrset, keys = signed([generate_key(), generate_key(15)])
    first = rrset.signatures[0]
    broken = replace(rrset, signatures=(replace(first, signature=bytes(64)), *rrset.signatures[1:]))

    verified = verify(broken, keys)

    assert isinstance(verified, Verified)
    assert verified.failed <= 1


def refused(rrset: RRset, keys: list[KeyRecord], **kwargs: object) -> str:
    outcome = verify(rrset, keys, **kwargs)  # type: ignore[arg-type]
    assert isinstance(outcome, Fault)
    assert "?" not in describe(outcome, NOW)
    return outcome.code


class TestFaultsAreNamed:
    def test_changed_data(self) -> None:
        rrset, keys = signed([generate_key()])

        assert refused(replace(rrset, rdatas=(bytes(4),)), keys) == "rrsig_crypto_invalid"

    def test_no_signature(self) -> None:
        rrset, keys = signed([generate_key()])

        assert refused(replace(rrset, signatures=()), keys) == "rrsig_missing"

    def test_expired(self) -> None:
        rrset, keys = signed([generate_key()], inception=AT - timedelta(days=9), expiration=AT - timedelta(seconds=1))

        assert refused(rrset, keys) == "rrsig_expired"
        assert isinstance(verify(rrset, keys, lenient=True), Verified)

    def test_not_yet_valid(self) -> None:
        rrset, keys = signed([generate_key()], inception=AT + timedelta(days=2), expiration=AT + timedelta(days=9))

        assert refused(rrset, keys) == "rrsig_not_yet_valid"
        assert refused(rrset, keys, lenient=True) == "rrsig_not_yet_valid"

    def test_another_signer(self) -> None:
        rrset, keys = signed([generate_key()])
        signature = replace(rrset.signatures[0], signer=names.from_text("other"))

        assert refused(replace(rrset, signatures=(signature,)), keys) == "rrsig_signer_invalid"

    def test_more_labels_than_the_owner_has(self) -> None:
        rrset, keys = signed([generate_key()])
        signature = replace(rrset.signatures[0], labels=3)

        assert refused(replace(rrset, signatures=(signature,)), keys) == "rrsig_signer_invalid"

    def test_fewer_labels_than_the_signer_has(self) -> None:
        rrset, keys = signed([generate_key()])
        signature = replace(rrset.signatures[0], labels=0)

        assert refused(replace(rrset, signatures=(signature,)), keys) == "rrsig_signer_invalid"

    def test_a_key_that_is_not_there(self) -> None:
        rrset, _ = signed([generate_key()])
        _, others = signed([generate_key()])

        assert refused(rrset, others) in ("dnskey_missing", "rrsig_crypto_invalid")

    def test_a_revoked_key(self) -> None:
        rrset, keys = signed([generate_key()])
        revoked = replace(keys[0], flags=keys[0].flags | 0x0080)

        assert refused(rrset, [revoked]) == "dnskey_revoked_in_use"

    @pytest.mark.parametrize(("flags", "protocol"), [(0, 3), (256, 2)])
    def test_a_key_that_is_no_zone_key(self, flags: int, protocol: int) -> None:
        rrset, keys = signed([generate_key()])

        assert refused(rrset, [replace(keys[0], flags=flags, protocol=protocol)]) == "dnskey_not_zone_key"


class TestBudgets:
    def colliding(self, count: int, signatures: int) -> tuple[RRset, list[KeyRecord]]:
        """Return an RRset with junk signatures and the true one last, all with one tag, and keys that share it."""
        rrset, keys = signed([generate_key()])
        true = rrset.signatures[0]
        junk = tuple(replace(true, signature=number.to_bytes(64, "big")) for number in range(1, signatures))
        twins = [replace(keys[0], public_key=number.to_bytes(64, "big")) for number in range(1, count)]
        return replace(rrset, signatures=(*junk, true)), [*twins, keys[0]]

    def test_the_eighth_try_may_still_succeed(self) -> None:
        rrset, keys = self.colliding(1, 8)

        assert isinstance(verify(rrset, keys), Verified)

    def test_a_ninth_try_is_not_made(self) -> None:
        rrset, keys = self.colliding(1, 9)

        assert refused(rrset, keys) == "validation_budget_exceeded"

    def test_four_keys_may_share_a_tag(self) -> None:
        rrset, keys = self.colliding(4, 1)

        assert isinstance(verify(rrset, keys), Verified)

    def test_five_keys_may_not(self) -> None:
        rrset, keys = self.colliding(5, 1)

        assert refused(rrset, keys) == "validation_budget_exceeded"

    def test_failures_add_up_over_a_zone(self) -> None:
        rrset, keys = self.colliding(1, 8)
        bad = replace(rrset, signatures=rrset.signatures[:7])
        budget = Budget(Policy())

        outcomes = [verify_rrset(bad, ZONE, keys, now=NOW, policy=Policy(), budget=budget) for _ in range(3)]

        assert [one.code for one in outcomes if isinstance(one, Fault)] == [
            "rrsig_crypto_invalid",
            "rrsig_crypto_invalid",
            "validation_budget_exceeded",
        ]
        assert budget.crypto_operations == 16

    def test_a_hostile_twin_can_not_mask_a_key_with_a_tag_of_its_own(self) -> None:
        rrset, keys = signed([generate_key(), generate_key(15)])
        by_algorithm = {key.algorithm: key for key in keys}
        twins = [replace(by_algorithm[13], public_key=number.to_bytes(64, "big")) for number in range(3)]

        verified = verify(rrset, [*twins, *keys])

        assert isinstance(verified, Verified)
        assert verified.key.algorithm == 15
        assert verified.failed == 0

    def test_keys_times_signatures_are_bounded(self) -> None:
        rrset, keys = self.colliding(4, 7)

        assert refused(rrset, keys) == "validation_budget_exceeded"


@pytest.mark.parametrize(("bits", "good"), [(1024, True), (2048, True)])
def test_rsa_sizes_within_the_limits_are_used(bits: int, good: bool) -> None:
    rrset, keys = signed([generate_key(8, bits=bits)])

    assert isinstance(verify(rrset, keys), Verified) is good


def test_rsa_below_the_limit_is_unsupported() -> None:
    rrset, keys = signed([generate_key(8, bits=1024)])

    assert refused(rrset, keys, policy=Policy(rsa_min_bits=2048)) == "dnskey_missing"


def test_what_is_said_of_several_signatures_does_not_depend_on_their_order() -> None:
    rrset, keys = signed([generate_key(), generate_key(15), generate_key(8)])
    first, *others = rrset.signatures
    broken = replace(first, signature=bytes(len(first.signature)))
    made = [broken, *others]

    for order in itertools.permutations(made):
        verified = verify(replace(rrset, signatures=tuple(order)), keys)
        assert isinstance(verified, Verified)
        assert verified.failed == 1


def test_a_signature_by_a_key_that_is_not_there_is_told_from_one_that_does_not_hold() -> None:
    rrset, keys = signed([generate_key(algorithm=13) for _ in range(3)])
    one_is_gone = verify(rrset, keys[:2])
    spoilt = [replace(one, signature=bytes(64)) for one in rrset.signatures if one.key_tag == keys[1].tag]
    others = [one for one in rrset.signatures if one.key_tag != keys[1].tag]
    and_one_spoilt = verify(replace(rrset, signatures=(*spoilt, *others)), keys[:2])

    assert isinstance(one_is_gone, Verified)
    assert isinstance(and_one_spoilt, Verified)
    assert (one_is_gone.failed, one_is_gone.keyless) == (1, 1)
    assert (and_one_spoilt.failed, and_one_spoilt.keyless) == (2, 1)


def test_signatures_that_no_verdict_needs_spend_at_most_half_of_the_operations() -> None:
    rrset, keys = signed([generate_key(), generate_key(15)])
    policy = Policy(max_crypto_operations=2)
    budget = Budget(policy)

    assert isinstance(verify_rrset(rrset, ZONE, keys, now=NOW, policy=policy, budget=budget), Verified)
    assert budget.crypto_operations == 1


def test_sha1_counts_by_profile() -> None:
    rrset, keys = signed([generate_key(5)])

    assert refused(rrset, keys) == "rrsig_missing"
    assert isinstance(verify(rrset, keys, policy=Policy(profile="legacy")), Verified)


def test_labels_count_neither_root_nor_leading_asterisk() -> None:
    assert label_count(names.ROOT) == 0
    assert label_count(names.from_text("*.example")) == 1
    assert label_count(names.from_text("a.*.example")) == 3
