"""The scenarios of a validator's own authors, in process; the black-box run is in tests/servers."""

import json
from pathlib import Path
from typing import Any

import dns.name
import pytest

from collector.dnssec import names, records
from collector.dnssec.anchors import TrustAnchors, parse_anchors
from collector.dnssec.budget import Budget
from collector.dnssec.context import Context
from collector.dnssec.message import Response, read_response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, drive
from collector.dnssec.validation import ValidationResult, validate

SCENARIOS = Path(__file__).parents[3] / "shared" / "conformance" / "scenarios"

# What these expect is argued against in DECISIONS.md, "A fetch that fails is indeterminate": RFC 4035 §4.3.
UNFETCHED = "the resolver answers SERVFAIL for a DS or DNSKEY set that the chain needs: indeterminate, not bogus"
EXPECTED_DIFFERENCES = {
    ("val_failure_dnskey", 0): ("indeterminate", UNFETCHED),
    ("val_failure_dnskey", 1): ("indeterminate", UNFETCHED),
    ("val_failure_dnskey", 2): ("indeterminate", UNFETCHED),
    ("sub_ds_deepcopy", 1): ("indeterminate", UNFETCHED),
}


def checks() -> list[Any]:
    found = []
    for path in sorted(SCENARIOS.glob("*.json")):
        count = len(json.loads(path.read_text(encoding="utf-8"))["checks"])
        found += [pytest.param(path, index, id=f"{path.stem}-{index}") for index in range(count)]
    return found


def run(path: Path, index: int) -> tuple[ValidationResult, dict[str, Any]]:
    from play import ask  # type: ignore[import-not-found]
    from recursor import Scenario  # type: ignore[import-not-found]

    scenario = Scenario.load(path)
    check = scenario.checks[index]
    terms: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in scenario.policy.items()}
    policy = Policy(**terms)
    anchors = (
        parse_anchors("\n".join(scenario.trust_anchors), path.stem) if scenario.trust_anchors else TrustAnchors({})
    )
    context = Context(scenario.now, anchors, policy, Budget(policy), {})
    answer = ask(scenario, check)
    data = check.data
    questions = validate(context, names.from_text(data["qname"]), records.type_from_text(data["qtype"]))

    def reply_to(asked: Ask) -> Response:
        message = answer(dns.name.from_text(names.to_text(asked.name)), asked.rdtype)
        return read_response(message.to_wire(max_size=65535))

    return drive(questions, reply_to), data


def as_compared(text: str) -> str:
    owner, *words = text.split()
    return " ".join([owner.rstrip(".") + ".", *words]).lower()


@pytest.mark.skipif(not SCENARIOS.is_dir(), reason=f"needs {SCENARIOS}, which comes beside a checkout")
@pytest.mark.parametrize(("path", "index"), checks())
def test_the_verdict_is_the_one_that_others_reach(conformance: Path, path: Path, index: int) -> None:
    result, data = run(path, index)

    difference = EXPECTED_DIFFERENCES.get((path.stem, index))
    if difference is not None:
        assert result.verdict == difference[0], difference[1]
        return
    wanted = ("secure", "insecure") if data["expect"] == "not-bogus" else (data["expect"],)
    assert result.verdict in wanted, result.weakest.reason
    if data["expect"] == "bogus":
        return
    assert result.rcode == data["rcode"]
    if data.get("answer") is not None:
        ours = {
            f"{names.to_text(owner)} {records.type_to_text(rdtype)} {records.rdata_to_text(rdtype, rdata)}".lower()
            for owner, rdtype, rdata in result.records
        }
        assert ours == {as_compared(text) for text in data["answer"] if text.split()[1] != "RRSIG"}
