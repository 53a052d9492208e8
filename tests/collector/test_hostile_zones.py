"""What a hostile zone may cost: bounded operations and questions, and a good zone beside it keeps its pace."""

import random
from unittest.mock import patch

import dns.message
import pytest
from msgspec.structs import replace

from anchorwatch.lab.zones import Nsec3Params
from collector.dnssec import names, records
from collector.dnssec.message import Response
from collector.dnssec.questions import Ask, Reply
from schemas.judgement import Judgement
from tests.support.lab import Lab
from tests.support.operations import calls_of

MOST_CALLS = 60_000
MOST_QUESTIONS = 100


def cost(lab: Lab, name: str) -> tuple[str, int, int]:
    """Return the deciding code, how many functions were called without the lab's own work, and the questions."""
    judged: list[Judgement] = []
    replies: dict[Ask, Reply] = {}  # the lab makes each once

    def remembered(asked: Ask) -> Reply:
        if asked not in replies:
            replies[asked] = real(asked)
        lab.asked.append(asked)
        return replies[asked]

    real = lab.reply
    with patch.object(lab, "reply", remembered):
        lab.judge(name)
        lab.asked.clear()
        calls = calls_of(lambda: judged.append(lab.judge(name)))
    (judgement,) = judged
    budget = lab.context.budget
    assert budget.crypto_operations <= budget._policy.max_crypto_operations
    assert budget.nsec3_hashes <= budget._policy.max_nsec3_hashes
    code = judgement.reasons[0].code if judgement.reasons else str(judgement.verdict)
    return code, calls, len(lab.asked)


class KeyTrap(Lab):
    """``zone.test`` publishes many keys of one tag and signs www with many signatures of that tag: CVE-2023-50387."""

    def __init__(self, keys: int, signatures: int) -> None:
        super().__init__()
        self.keys, self.signatures = keys, signatures

    def reply(self, asked: Ask) -> Reply:
        reply = super().reply(asked)
        zone = names.from_text("zone.test")
        if not isinstance(reply, Response) or not names.is_at_or_below(asked.name, zone):
            return reply
        answer = dict(reply.answer)
        for key, rrset in answer.items():
            rng = random.Random(1)
            if rrset.rdtype == records.DNSKEY:
                answer[key] = replace(rrset, rdatas=rrset.rdatas + tuple(self.twins(rrset.rdatas, rng)))
            elif rrset.signatures:
                true = rrset.signatures[0]
                junk = tuple(replace(true, signature=rng.randbytes(64)) for _ in range(self.signatures))
                answer[key] = replace(rrset, signatures=(*junk, true))
        return replace(reply, answer=answer)

    def twins(self, rdatas: tuple[bytes, ...], rng: random.Random) -> list[bytes]:
        """Return keys that share the tag of the zone-signing key: octets swapped two apart leave the sum alone."""
        (true,) = [rdata for rdata in rdatas if rdata[1] == 0]
        made: set[bytes] = set()
        while len(made) < self.keys:
            octets = bytearray(true)
            for _ in range(8):
                left = rng.randrange(4, 64)
                right = left + 2 * rng.randrange((67 - left) // 2)
                octets[left], octets[right] = octets[right], octets[left]
            made.add(bytes(octets))
        assert {records.key_tag(one) for one in made} == {records.key_tag(true)}
        return sorted(made - {true})


@pytest.mark.parametrize(("keys", "signatures"), [(3, 300), (200, 1), (200, 300), (500, 500)])
def test_colliding_keys_and_signatures_cost_little(keys: int, signatures: int) -> None:
    code, calls, questions = cost(KeyTrap(keys, signatures), "www.zone.test")

    assert code in ("validation_budget_exceeded", "rrsig_crypto_invalid")
    assert calls < MOST_CALLS
    assert questions <= MOST_QUESTIONS


@pytest.mark.parametrize("iterations", [150, 500, 2500])
def test_deep_names_under_many_iterations_cost_little(iterations: int) -> None:
    """CVE-2023-50868: each label of a deep name costs a hash of many rounds."""
    lab = Lab()
    lab.zone.nsec3 = Nsec3Params(iterations, bytes(255))
    lab.sign()
    deep = ".".join("a" * 1 for _ in range(100))

    code, calls, questions = cost(lab, f"{deep}.zone.test")

    assert code == ("secure" if iterations <= 150 else "nsec3_iterations_over_limit")
    assert calls < MOST_CALLS
    assert questions <= MOST_QUESTIONS


def test_thousands_of_records_cost_little() -> None:
    lab = Lab()

    def bend(asked: Ask, message: dns.message.Message) -> None:
        if asked.rdtype == 1:
            base = 0x0A000000
            addresses = [
                f"{(base + n) >> 24}.{(base + n) >> 16 & 255}.{(base + n) >> 8 & 255}.{n & 255}" for n in range(3000)
            ]
            message.answer[0] = dns.rrset.from_text_list("www.zone.test.", 60, "IN", "A", addresses)

    lab.bend = bend

    code, calls, _ = cost(lab, "www.zone.test")

    assert code == "rrsig_crypto_invalid"
    assert calls < MOST_CALLS


def test_a_good_zone_beside_a_hostile_one_keeps_its_pace() -> None:
    good, hostile = Lab(), KeyTrap(200, 300)
    alone = cost(good, "www.zone.test")

    for _ in range(3):
        hostile.judge("www.zone.test")

    code, calls, questions = cost(good, "www.zone.test")
    assert (code, questions) == (alone[0], alone[2])
    assert calls < alone[1] * 1.1
