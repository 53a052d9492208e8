"""The extended DNS error of a question that got no answer. Source: RFC 8914 §4.23, §4.24."""

import pytest

from collector.dnssec import names, records
from collector.dnssec.fault import RRsetName, ede_of, not_fetched
from collector.dnssec.message import REFUSED, SERVFAIL
from collector.dnssec.questions import Ask, FetchFailure
from tests.support import lab

ASKED = RRsetName(names.from_text("www.zone.test"), records.A)


@pytest.mark.parametrize(
    ("failure", "ede"),
    [
        (FetchFailure("rcode", "", SERVFAIL), 22),
        (FetchFailure("rcode", "", REFUSED), 22),
        (FetchFailure("timeout", "", walk=True), 22),
        (FetchFailure("timeout", ""), 23),
        (FetchFailure("timeout", "", zone=names.from_text("zone.test")), 23),
        (FetchFailure("unreachable", ""), 23),
        (FetchFailure("mismatch", ""), 23),
        (FetchFailure("malformed", ""), 23),
        (FetchFailure("rcode", "", SERVFAIL, ((9, "no SEP matching the DS"), (22, ""))), 9),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else f"{value.kind}-{value.rcode}",
)
def test_the_extended_error_says_whether_the_resolver_or_we_were_cut_off(failure: FetchFailure, ede: int) -> None:
    assert ede_of(failure) == ede
    fault = not_fetched(names.ROOT, ASKED, failure)
    assert (fault.code, fault.ede) == ("verdict_indeterminate", ede)


def test_a_question_that_the_budget_forbids_is_no_failure_of_a_network() -> None:
    fault = not_fetched(names.ROOT, ASKED, FetchFailure("budget", ""))

    assert (fault.code, fault.ede) == ("validation_budget_exceeded", None)


@pytest.mark.parametrize("failure", [FetchFailure("rcode", "SERVFAIL", SERVFAIL), FetchFailure("timeout", "silent")])
@pytest.mark.parametrize(("name", "rdtype"), [("www.zone.test", "A"), ("zone.test", "DNSKEY"), ("zone.test", "DS")])
def test_one_failure_is_told_alike_wherever_it_happens(failure: FetchFailure, name: str, rdtype: str) -> None:
    at_fault = Ask(names.from_text(name), records.type_from_text(rdtype))
    world = lab.Lab()
    world.bend = lambda asked, message: failure if asked == at_fault else None

    judgement = world.judge("www.zone.test")

    assert judgement.verdict == "indeterminate"
    assert judgement.reasons[0].ede == ede_of(failure)
