"""A name whose answer changes with every poll: what is observed of it over hours of virtual time."""

from datetime import UTC, datetime

import msgspec

from collector.polling.churn import Churn
from collector.polling.memory import PollTarget, memory_of, remember, take_note
from schemas.judgement import ChainLink, Judgement, Reason, ResolverClaim, Verdict, ZoneKey
from schemas.messages import Occasion

AT = datetime(2026, 11, 26, tzinfo=UTC)
MOST = 12


def judgement(address: str = "192.0.2.1", verdict: Verdict = Verdict.SECURE, **more: object) -> Judgement:
    made = Judgement(
        name="api.bank.example.",
        type="A",
        vantage="lab",
        verdict=verdict,
        rcode="NOERROR",
        answers=(f"api.bank.example. A {address}",),
        chain=(
            ChainLink(".", Verdict.SECURE),
            ChainLink("bank.example.", verdict, keys=(ZoneKey(1, 13, 257, None, "k"),)),
        ),
        validated_at=AT,
    )
    return msgspec.structs.replace(made, **more)


class Poller:
    """What the collector does with each validated poll."""

    def __init__(self) -> None:
        self.memory = memory_of(PollTarget((b"example", b"api"), 1, "lab"))
        self.observed: list[tuple[float, Occasion, Judgement]] = []

    def poll(self, one: Judgement, now: float) -> bool:
        occasion, told, is_withheld = self.memory.weigh(one, now, refresh_s=86_400, most=MOST, of_verdict=False)
        if is_withheld:
            return False
        if occasion is None:
            if self.memory.churn.is_unstable:
                take_note(self.memory, one)
            return False
        remember(self.memory, one, "id", now)
        self.observed.append((now, occasion, told))
        return True

    def remarks(self) -> list[str]:
        return [remark.code for remark in self.observed[-1][2].remarks]


def unstable(poller: Poller, verdict: Verdict = Verdict.SECURE) -> float:
    """Poll two addresses in turn until changes are only counted; return when."""
    for number in range(MOST + 2):
        poller.poll(judgement(f"192.0.2.{number % 2}", verdict), number * 60.0)
    assert poller.remarks() == ["answer_unstable"]
    return (MOST + 1) * 60.0


def test_a_day_of_changes_at_every_poll_costs_a_bounded_number_of_observations() -> None:
    poller = Poller()

    for minute in range(24 * 60):
        poller.poll(judgement(f"192.0.2.{minute % 200}"), minute * 60.0)

    assert len(poller.observed) <= 1 + MOST + 1 + 24


def test_the_state_begins_with_one_observation_that_says_so() -> None:
    poller = Poller()

    unstable(poller)

    told = poller.observed[-1][2]
    remark = told.remarks[-1]
    assert (remark.code, remark.rrset, remark.zone) == ("answer_unstable", "api.bank.example. A", "bank.example.")
    assert "13 times" in remark.detail


def test_a_change_now_and_then_is_observed_each_time() -> None:
    poller = Poller()

    assert all(poller.poll(judgement(f"192.0.2.{number}"), number * 600.0) for number in range(50))


def test_a_verdict_that_changes_meanwhile_is_observed_at_once() -> None:
    poller = Poller()
    at = unstable(poller)

    bogus = judgement(
        "203.0.113.66", Verdict.BOGUS, reasons=(Reason("rrsig_crypto_invalid", "bank.example.", "", None, "x A"),)
    )

    assert poller.poll(bogus, at + 60)
    assert poller.observed[-1][2].verdict is Verdict.BOGUS


def test_a_chain_that_changes_meanwhile_is_observed_at_once() -> None:
    poller = Poller()
    at = unstable(poller)
    other = ChainLink("cut.bank.example.", Verdict.SECURE)

    assert poller.poll(judgement("192.0.2.9", chain=(ChainLink(".", Verdict.SECURE), other)), at + 60)


def test_unsigned_data_that_the_name_never_had_are_observed_at_once() -> None:
    poller = Poller()
    at = unstable(poller, Verdict.INSECURE)

    assert not poller.poll(judgement("192.0.2.1", Verdict.INSECURE), at + 60)
    assert poller.poll(judgement("203.0.113.66", Verdict.INSECURE), at + 120)


def test_a_claim_that_was_never_proven_is_observed_at_once() -> None:
    poller = Poller()
    at = unstable(poller)
    honest = ResolverClaim(ad=True, rcode="NOERROR", answers=("api.bank.example. A 192.0.2.1",))
    forged = ResolverClaim(ad=True, rcode="NOERROR", answers=("api.bank.example. A 203.0.113.66",))
    poller.poll(judgement("192.0.2.0", resolver=honest), at + 60)

    assert not poller.poll(judgement("192.0.2.1", resolver=honest), at + 120)
    assert poller.poll(judgement("192.0.2.0", resolver=forged), at + 180)


def test_proven_data_that_are_new_are_only_counted() -> None:
    poller = Poller()
    at = unstable(poller)

    assert not any(poller.poll(judgement(f"198.51.100.{number}"), at + 60 * number) for number in range(1, 30))


def test_once_an_hour_the_count_is_told() -> None:
    poller = Poller()
    at = unstable(poller)
    before = len(poller.observed)

    for minute in range(1, 121):
        poller.poll(judgement(f"192.0.2.{minute % 2}"), at + minute * 60)

    assert [occasion for _, occasion, _ in poller.observed[before:]] == [Occasion.REFRESH] * 2
    assert "72 times" in poller.observed[-2][2].remarks[-1].detail


def test_after_an_hour_of_calm_the_remark_is_gone() -> None:
    poller = Poller()
    at = unstable(poller)
    last = poller.memory.churn

    assert not last.is_over(at + 3599)
    assert last.is_over(at + 3600)
    assert poller.poll(judgement(f"192.0.2.{(MOST + 1) % 2}"), at + 3600)
    assert poller.remarks() == []


def test_what_is_remembered_is_bounded() -> None:
    churn = Churn()

    for number in range(5000):
        churn.weigh(judgement(f"2001:db8::{number:x}"), Occasion.CHANGE, 0, number, MOST)

    assert len(churn.learnt) <= 512
    assert len(churn.changed_at) <= MOST + 1
