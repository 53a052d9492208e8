"""Why two validators differ on a case: named classes, each tried out on the case; what no class explains is a failure.

A class is a claim about the difference, and ``Explainer`` checks it: it changes the case so that the claimed cause is
gone, or asks the question that the other validator went on to ask, and sees the difference vanish.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from damage import Case
from oracles import Opinion
from packets import Message, Record
from worlds import Question, from_dns, to_dns

from collector.dnssec import names, records
from collector.dnssec.message import NOERROR, NXDOMAIN
from collector.dnssec.names import Name
from collector.dnssec.validation import ValidationResult
from schemas.judgement import Verdict

UNEXPLAINED = "UNEXPLAINED"
OTHER_CLASS = re.compile(r"<\S+ SOA (?!IN\b)\S+>")
REFUSED = frozenset({"bogus", "servfail"})

WHOLE_DENIAL = "Unbound judges every record of the authority section; we judge those that the proof needs"
WHOLE_ANSWER = "Unbound judges every record of the answer section; we judge those that answer the question"
FORGED_SOA = "the SOA beside a denial does not verify, and we do not look at it"
ASKED_AGAIN = "Unbound asks again for an alias's target; we judge the response that came"
BOTH_REFUSE = "nobody believes the answer: a fault to one is a failed fetch to the other"
SPINS = "Unbound spins until it is killed"
STRICTER_ITERATIONS = "above 500 NSEC3 iterations we say bogus, Unbound insecure"
STRICTER_LABELS = (
    "a label count below the zone's own, or a DS or DNSKEY set from a wildcard: we refuse, Unbound accepts"
)
STRICTER_EXPANSION = "an alias expanded from a wildcard answers a DS question without proof: we refuse, Unbound accepts"
STRICTER_ENT = "NXDOMAIN for an empty non-terminal: we refuse, Unbound accepts"
STRICTER_RCODE = "NXDOMAIN with a proof of NODATA: we refuse, Unbound mends the rcode"
STRICTER_SIGNER = (
    "a signed zone claims what may lie below an unsigned delegation and proves nothing: we refuse, Unbound goes on down"
)
STRICTER_BUDGET = "more signature tries than our budget has"
SHORT_ALONE = "a delegation to RSA of 512 bits alone: unsupported, so insecure, to us; bogus to this build of Unbound"
STRICTER_FORM = "a malformed record: we drop the message, Unbound the record"
STRICTER_SPAN = "an NSEC whose next name lies outside the zone: we refuse, Unbound accepts"
TWO_CNAMES = "two CNAMEs at one name: we refuse, Unbound drops one"
ALIAS_UNSIGNED = "an alias that contradicts itself where nothing is signed: insecure to us, Unbound gives up on it"
MALFORMED_UNSIGNED = "malformed data where nothing is signed: insecure to us, Unbound gives up on them"
OTHER_RCODE = "signed data under the rcode of a name that does not exist: they count to us, Unbound goes by the rcode"
STRICTER_ANCESTOR = (
    "a zone above a cut claims what lies below it: we go by the zone that is there, Unbound by the claim"
)
STRICTER_WILD_ALIAS = "NODATA by a wildcard that is an alias: we refuse, Unbound accepts"
STRICTER_WILD_OPT_OUT = "beside an opt-out span no denial of the wildcard: we and delv refuse, to Unbound insecure"
ANCESTOR_INSECURE = (
    "a signed zone claims what lies below an insecure cut: insecure to us, Unbound holds it to the claim"
)
DNAME_OVER_LIMIT = (
    "a DNAME of a zone of 151 to 500 iterations: signed, so secure to us; Unbound looks for a cut below it"
)
NO_CUT_AT_ALIAS = "a DS question answered by an alias: we take it for the proof of no cut, Unbound finds no DS"
ORPHAN_SOA = "beside a denial stands no SOA of class IN but its signature: nothing to verify for us, bogus to Unbound"
STRICTER_ODD = "a zone signs denials that contradict it: each validator believes another of its words"
LIES = frozenset({"odd denial signed", "signed with a lie", "signed with a lie again"})
STRICTER_ANY = "an ANY answer: we ask for the keys and judge every record, Unbound takes what it finds in it"
FORK = "data and an alias at one name, both signed: we take the data, Unbound the alias"
STRICTER_REVOKED = "a signature by a revoked key over anything but its key set: we refuse, Unbound accepts"
FIRST_SIGNATURE = "one signature holds and another lies; Unbound goes by the first (RFC 6840 §5.4: any one is enough)"
UNSIGNED_ANYHOW = "the name lies below an unsigned delegation; Unbound believes a signed zone above that claims it"
APEX_ALIAS = (
    "an alias at a zone's apex, signed by that zone: we and delv follow it, Unbound takes it for the key set too"
)
DOWNGRADE = "a key set of one short RSA key makes a zone insecure that a good DS vouches for"
DNAME_QUESTION = "Unbound can't follow a CNAME question through a DNAME"
DIGESTS = "Unbound looks at DS of the strongest digest only; we at any of SHA-2 (RFC 4509 §3 demotes SHA-1 alone)"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One difference: with whom, and the class that explains it."""

    who: str
    klass: str


Essence = tuple[object, ...]
"""What of our result must not change: verdict, rcode and records."""
Dropped = tuple[Question, tuple[int, Name, int]]
"""A response, and in it section, owner and (covered) type of an RRset."""
AskUs = Callable[[Case, list[Question] | None], ValidationResult]
AskUnbound = Callable[[Case], Opinion]


@dataclass(frozen=True, slots=True)
class Explainer:
    """Finds the class of a difference by trying."""

    ask_us: AskUs
    ask_unbound: AskUnbound

    def explain(self, case: Case, ours: Opinion, unbound: Opinion, delv: Opinion | None) -> Iterator[Disagreement]:
        """Yield the differences of one case."""
        if ours.verdict != unbound.verdict:
            yield Disagreement("Unbound", self._with_unbound(case, ours, unbound, delv))
        elif ours.verdict == "secure" and ours.rcode != unbound.rcode:
            yield Disagreement("Unbound", self._with_rcodes(case, ours, unbound))
        if delv is not None and delv.verdict != ours.verdict:
            yield Disagreement("delv", _with_delv(ours, unbound, delv))

    def _with_unbound(self, case: Case, ours: Opinion, unbound: Opinion, delv: Opinion | None) -> str:
        if unbound.verdict == "hang":
            return SPINS
        if ours.verdict in REFUSED and unbound.verdict in REFUSED:
            return BOTH_REFUSE
        if self._asks_again(case, unbound):
            return ASKED_AGAIN
        if ours.verdict in REFUSED:
            trace: list[Question] = []
            self.ask_us(case, trace)
            found = _stricter(case, ours, unbound, [case.message(*question) for question in (case.question, *trace)])
        else:
            found = (
                _special(case, ours, unbound, self)
                or (APEX_ALIAS if _is_apex_alias(case, ours, unbound, delv) else "")
                or self._unneeded(case, ours, unbound)
                or (UNSIGNED_ANYHOW if ours.verdict == "insecure" and self._is_unsigned(case) else "")
                or (ANCESTOR_INSECURE if self._is_insecure_by_an_honest_chain(case, ours) else "")
                or self._beside_the_rcode(case, ours, delv)
                or (STRICTER_ODD if _is_local_by_a_lie(case, ours) else "")
            )
        return found or f"{UNEXPLAINED}: {ours.verdict} / {unbound.verdict}"

    def _beside_the_rcode(self, case: Case, ours: Opinion, delv: Opinion | None) -> str:
        """Have every response with data in it say NOERROR; where Unbound still differs, it is for what that shows."""
        trace: list[Question] = []
        self.ask_us(case, trace)
        mended = Case(case.made, case.question, case.damages)
        changed = False
        for question in dict.fromkeys([case.question, *trace]):
            whole = case.message(*question)
            if whole.rcode != NOERROR and any(question[1] in (record.rdtype, records.ANY) for record in whole.answer):
                mended.prepare(question, Message(NOERROR, *whole.sections))
                changed = True
        if not changed:
            return ""
        unbound = self.ask_unbound(mended)
        if unbound.verdict == ours.verdict:
            return OTHER_RCODE
        found = self._with_unbound(mended, ours, unbound, delv)
        return "" if found.startswith(UNEXPLAINED) else found

    def _with_rcodes(self, case: Case, ours: Opinion, unbound: Opinion) -> str:
        if self._asks_again(case, unbound):
            return ASKED_AGAIN
        types = {one.rdtype for one in case.message(*case.question).answer if one.owner == case.question[0]}
        if {records.CNAME, case.question[1]} <= types:
            return FORK
        if any(damage.kind in LIES for damage in case.damages):
            return STRICTER_ODD
        return f"{UNEXPLAINED}: both secure, with rcodes {ours.rcode} and {unbound.rcode}"

    def _asks_again(self, case: Case, unbound: Opinion) -> bool:
        """Return whether the verdict of the aliases so far and of a target asked anew is Unbound's."""
        worst = Verdict.SECURE
        for judged in self.ask_us(case, None).rrsets:
            worst = max(worst, judged.verdict, key=lambda verdict: verdict.weakness)
            if judged.target is None:
                return False
            tail = self.ask_us(Case(case.made, (judged.target, case.question[1]), case.damages), None)
            together = max(worst, tail.verdict, key=lambda verdict: verdict.weakness)
            same_rcode = tail.rcode == {0: "NOERROR", 3: "NXDOMAIN"}.get(unbound.rcode)
            if together.value == unbound.verdict and (same_rcode or unbound.verdict in REFUSED):
                return True
            if together.value in REFUSED and unbound.verdict in REFUSED:
                return True
        return False

    def _is_unsigned(self, case: Case) -> bool:
        """Return whether every insecure RRset is about a name below a delegation that has no DS, honestly."""
        rrsets = self.ask_us(case, None).rrsets
        owners = [judged.owner for judged in rrsets if judged.verdict is Verdict.INSECURE]
        return not any(case.made.chain_is_signed(owner) for owner in owners)

    def _is_insecure_by_an_honest_chain(self, case: Case, ours: Opinion) -> bool:
        """Return whether a claim from above a cut is insecure to us though nothing but the answer itself is damaged."""
        message = case.message(*case.question)
        only = Case(case.made, case.question, case.damages)
        only.prepare(case.question, message)
        same = self.ask_us(only, None).verdict is Verdict.INSECURE
        return ours.verdict == "insecure" and same and _has_ancestors_claim(case, message)

    def _is_of_two_minds(self, case: Case, ours: Opinion, questions: Sequence[Question], wanted: Essence) -> bool:
        """Return whether Unbound agrees once a signature is gone without which our verdict stands."""
        for question in questions:
            whole = case.message(*question)
            for record in dict.fromkeys((*whole.answer, *whole.authority)):
                if record.is_signature:
                    fewer = Case(case.made, case.question, case.damages)
                    answer, authority = ([one for one in section if one != record] for section in whole.sections)
                    fewer.prepare(question, Message(whole.rcode, answer, authority))
                    stands = _essence(self.ask_us(fewer, None)) == wanted
                    if stands and self.ask_unbound(fewer).verdict == ours.verdict:
                        return True
        return False

    def _unneeded(self, case: Case, ours: Opinion, unbound: Opinion) -> str:
        """Drop RRsets that our verdict does not need until Unbound agrees; name what had to go."""
        trace: list[Question] = []
        result = self.ask_us(case, trace)
        wanted = _essence(result)
        targets = [(judged.target, case.question[1]) for judged in result.rrsets if judged.target is not None]
        questions = list(
            dict.fromkeys([case.question, *trace, *targets, *_cuts_above(target for target, _ in targets)])
        )
        candidates = [
            (question, group)
            for question in questions
            for group in dict.fromkeys(
                (which, record.owner, record.covers)
                for which, section in enumerate(case.message(*question).sections)
                for record in section
            )
        ]
        harmless = [one for one in candidates if _essence(self.ask_us(_without(case, [one]), None)) == wanted]
        if self.ask_unbound(_with_honest_soas(case, questions)).verdict == ours.verdict:
            if OTHER_CLASS.search(unbound.why):
                return ORPHAN_SOA
            if not any(_has_false_soa(case, case.message(*question)) for question in questions):
                return ORPHAN_SOA
            if not _has_false_soa(case, case.message(*case.question)):
                return WHOLE_DENIAL  # the SOA stands beside a denial of the chain, where it decides nothing
            # Beside an answer that is there an SOA decides nothing; beside a denial, how long that is kept.
            is_answer = any(rdtype == case.question[1] for _, rdtype, _ in result.records)
            if ours.verdict != "secure" or (is_answer and ours.rcode == NOERROR):
                return WHOLE_DENIAL
            return f"{UNEXPLAINED}: {FORGED_SOA}"
        for one in harmless:
            if self.ask_unbound(_without(case, [one])).verdict == ours.verdict:
                return _name([one])
        for same in _by_record(harmless):
            # Unbound asks again for an alias's target, and gets the same record with that answer.
            fewer = _without(case, same)
            still = _essence(self.ask_us(fewer, None)) == wanted
            if still and self.ask_unbound(fewer).verdict == ours.verdict:
                return _name(same)
        if self._is_of_two_minds(case, ours, questions, wanted):
            return FIRST_SIGNATURE
        gone: list[Dropped] = []
        for one in harmless:
            if _essence(self.ask_us(_without(case, [*gone, one]), None)) == wanted:
                gone.append(one)
                if len(gone) > 1 and self.ask_unbound(_without(case, gone)).verdict == ours.verdict:
                    return _name(gone)
        two_minds = gone and self._is_of_two_minds(_without(case, gone), ours, questions, wanted)
        return FIRST_SIGNATURE if two_minds else ""


def _by_record(dropped: Iterable[Dropped]) -> list[list[Dropped]]:
    """Return what is the same RRset in several responses."""
    by_record: dict[object, list[Dropped]] = {}
    for question, group in dropped:
        by_record.setdefault(group[1:], []).append((question, group))
    return [same for same in by_record.values() if len(same) > 1]


def _cuts_above(targets: Iterable[Name]) -> Iterator[Question]:
    """Yield the DS questions on the way to the targets of aliases, which Unbound asks where we need not."""
    for target in targets:
        for depth in range(1, len(target) + 1):
            yield target[:depth], records.DS


def _is_local_by_a_lie(case: Case, ours: Opinion) -> bool:
    """Return whether the root itself signed the denial of a single label that then is answered unsigned."""
    return ours.why.startswith("locally_served") and any(damage.kind in LIES for damage in case.damages)


def _essence(result: ValidationResult) -> Essence:
    return result.verdict, result.rcode, tuple(result.records)


def _without(case: Case, gone: Sequence[Dropped]) -> Case:
    """Return the case with RRsets left out of its responses."""
    fewer = Case(case.made, case.question, case.damages)
    for question in {question for question, _ in gone}:
        whole = case.message(*question)
        groups = {group for one, group in gone if one == question}
        answer, authority = (
            [record for record in section if (which, record.owner, record.covers) not in groups]
            for which, section in enumerate(whole.sections)
        )
        fewer.prepare(question, Message(whole.rcode, answer, authority))
    return fewer


def _name(gone: Sequence[Dropped]) -> str:
    return WHOLE_ANSWER if any(section == 0 for _, (section, _, _) in gone) else WHOLE_DENIAL


def _with_honest_soas(case: Case, questions: Sequence[Question]) -> Case:
    """Return the case with every SOA of its authority sections as its zone has it."""
    mended = Case(case.made, case.question, case.damages)
    soas = [one for zone in case.made.zones for one in case.made.pool(zone) if one[0].rdtype == records.SOA]
    for question in questions:
        whole = case.message(*question)
        owners = {record.owner for record in whole.authority if record.covers == records.SOA}
        authority = [record for record in whole.authority if record.covers != records.SOA]
        genuine = [record for soa in soas if soa[0].owner in owners for record in soa]
        mended.prepare(question, Message(whole.rcode, whole.answer, genuine + authority))
    return mended


def _special(case: Case, ours: Opinion, unbound: Opinion, explainer: Explainer) -> str:
    """Return the class of a verdict that Unbound refuses, where dropping records is not what shows it."""
    if _is_short(case, ours, "short alone") or (ours.verdict == "insecure" and _stumbles_over_short(case, unbound)):
        return SHORT_ALONE
    if _is_short(case, ours, "short beside"):
        return f"{UNEXPLAINED}: {DOWNGRADE}"
    if "got DNAME answer" in unbound.why:
        return DNAME_QUESTION
    if _is_dname_over_limit(case, ours, unbound):
        return DNAME_OVER_LIMIT
    trace: list[Question] = []
    explainer.ask_us(case, trace)
    if ours.verdict == "insecure" and any(_is_malformed(record) for record in case.message(*case.question).answer):
        return MALFORMED_UNSIGNED
    loops = _alias_loops(case.message(*case.question))
    if ours.verdict == "insecure" and (loops or ours.why.startswith("alias_chain_broken")):
        return ALIAS_UNSIGNED
    at_cuts = [
        question
        for question in trace
        if question[1] == records.DS and any(one.rdtype == records.CNAME for one in case.message(*question).answer)
    ]
    no_cut = "no DS" in unbound.why or (ours.verdict != "insecure" and unbound.why.startswith("EDE 9"))
    return NO_CUT_AT_ALIAS if at_cuts and no_cut else ""


def _has_false_soa(case: Case, message: Message) -> bool:
    """Return whether an SOA record of class IN stands in the authority section that is not just as its zone has it."""
    soas = [one for zone in case.made.zones for one in case.made.pool(zone) if one[0].rdtype == records.SOA]
    genuine = {(record.owner, record.rdata) for soa in soas for record in soa}
    shown = [one for one in message.authority if one.covers == records.SOA and one.rdclass == records.IN]
    owners = {one.owner for one in shown if not one.is_signature}
    return any((one.owner, one.rdata) not in genuine for one in shown if one.owner in owners) or any(
        not any(one.is_signature and one.owner == owner for one in shown) for owner in owners
    )


def _is_apex_alias(case: Case, ours: Opinion, unbound: Opinion, delv: Opinion | None) -> bool:
    aliases = {record.owner for record in case.message(*case.question).answer if record.rdtype == records.CNAME}
    at_apex = any(to_dns(owner) in case.made.world.zones for owner in aliases)
    agrees = delv is not None and delv.verdict == ours.verdict
    return at_apex and (agrees or "DNSKEY RRset did not match DS RRset" in unbound.why)


def _is_malformed(record: Record) -> bool:
    return records.rdata_to_text(record.rdtype, record.rdata).startswith("\\#")


def _is_short(case: Case, ours: Opinion, mode: str) -> bool:
    code, _, detail = ours.why.partition(": ")
    short = [names.to_text(zone) for zone, note in case.made.notes.items() if note.startswith(mode)]
    return code == "algorithm_unsupported" and any(f" {zone} " in f"{detail} " for zone in short)


def _stumbles_over_short(case: Case, unbound: Opinion) -> bool:
    """Return whether Unbound found no good key in a zone whose only DS is for a short RSA key.

    It names the zone, or none at all where an alias led it there.
    """
    alone = [zone for zone, note in case.made.notes.items() if note.startswith("short alone")]
    if unbound.why.strip() == "EDE 9":
        aliases = [one for one in case.message(*case.question).answer if one.rdtype == records.CNAME]
        return any(names.is_at_or_below(records.target_of(one.rdata), zone) for one in aliases for zone in alone)
    said = f"{unbound.why} "
    return any(f"signature missing from 127.0.0.1 for key {names.to_text(zone)} " in said for zone in alone)


def _alias_loops(message: Message) -> bool:
    aliases = {one.owner: records.read_name(one.rdata, 0) for one in message.answer if one.rdtype == records.CNAME}
    for owner in aliases:
        name, seen = owner, {owner}
        while (target := aliases.get(name)) is not None:
            name = target[0]
            if name in seen:
                return True
            seen.add(name)
    return False


def _is_dname_over_limit(case: Case, ours: Opinion, unbound: Opinion) -> bool:
    """Return whether a signed DNAME of a zone that iterates too often made the CNAME that was asked for."""
    dnames = [one.owner for one in case.message(*case.question).answer if one.rdtype == records.DNAME]
    zones = [case.made.zone_over(owner) for owner in dnames]
    over_limit = any(zone.nsec3 is not None and zone.nsec3.iterations > 150 for zone in zones)
    return over_limit and (case.question[1], ours.verdict, unbound.verdict) == (records.CNAME, "secure", "insecure")


def _has_ancestors_claim(case: Case, message: Message) -> bool:
    """Return whether a signature over the answer names a signer above the zone that the owner lies in."""
    for one in message.answer:
        signer = records.read_name(one.rdata, 18) if one.is_signature and len(one.rdata) > 18 else None
        if signer is None:
            continue
        zone = from_dns(case.made.zone_over(one.owner).name)
        if len(signer[0]) < len(zone) and zone[: len(signer[0])] == signer[0]:
            return True
    return False


def _stricter(case: Case, ours: Opinion, unbound: Opinion, messages: Sequence[Message]) -> str:
    """Return the class of a refusal that Unbound does not share; ``messages`` are those that we saw."""
    code = ours.why.partition(":")[0]
    zone = case.made.zone_over(case.question[0])
    over_limit = zone.nsec3 is not None and zone.nsec3.iterations > 150
    denial = code in ("denial_missing", "denial_invalid", "rrsig_missing", "wildcard_proof_invalid") or (
        code == "rrsig_crypto_invalid" and " NSEC" in ours.why
    )
    expanded = any(_leaves_its_name(record) for seen in messages for part in seen.sections for record in part)
    claims = (
        (code == "nsec3_iterations_over_limit" or (denial and over_limit), STRICTER_ITERATIONS),
        (code == "rrsig_signer_invalid" or (denial and expanded), STRICTER_LABELS),
        (code == "wildcard_proof_invalid" and unbound.verdict == "secure", STRICTER_EXPANSION),
        (denial and any(_ends_outside(record, seen) for seen in messages for record in seen.authority), STRICTER_SPAN),
        (denial and ours.rcode == NXDOMAIN and _is_empty_non_terminal(case), STRICTER_ENT),
        (code == "denial_invalid" and ours.rcode == NXDOMAIN != unbound.rcode, STRICTER_RCODE),
        (code == "validation_budget_exceeded", STRICTER_BUDGET),
        (code == "dnskey_revoked_in_use", STRICTER_REVOKED),
        (any(map(_has_two_cnames, messages)), TWO_CNAMES),
        (code == "denial_invalid" and "or an alias" in ours.why, STRICTER_WILD_ALIAS),
        (code == "denial_invalid" and "wildcard" in ours.why and unbound.verdict == "insecure", STRICTER_WILD_OPT_OUT),
        (any(_has_ancestors_claim(case, seen) for seen in messages), STRICTER_ANCESTOR),
        (denial and _below_unsigned(case), STRICTER_SIGNER),
        (denial and any(damage.kind in LIES for damage in case.damages), STRICTER_ODD),
        (case.question[1] == records.ANY, STRICTER_ANY),
        (code == "verdict_indeterminate" and "could not be fetched" in ours.why, STRICTER_FORM),
    )
    return next((klass for holds, klass in claims if holds), "")


def _has_two_cnames(message: Message) -> bool:
    owners = [record.owner for record in dict.fromkeys(message.answer) if record.rdtype == records.CNAME]
    return len(owners) > len(set(owners))


def _leaves_its_name(record: Record) -> bool:
    """Return whether a signature over a record that never comes from a wildcard says that it does."""
    never = record.covers in (records.NSEC, records.NSEC3, records.DS, records.DNSKEY)
    own = len(record.owner) - (1 if record.owner[-1:] == (b"*",) else 0)
    return record.is_signature and never and len(record.rdata) > 3 and record.rdata[3] < own


def _ends_outside(record: Record, message: Message) -> bool:
    if record.rdtype != records.NSEC:
        return False
    following = records.read_name(record.rdata, 0)
    signers = [records.read_name(one.rdata, 18) for one in message.authority if one.is_signature]
    return following is not None and not all(
        signer is None or names.is_at_or_below(following[0], signer[0]) for signer in signers
    )


def _is_empty_non_terminal(case: Case) -> bool:
    honest = case.made.message(*case.question)
    return honest.rcode == 0 and not honest.answer


def _below_unsigned(case: Case) -> bool:
    """Return whether the name asked lies in a zone that is not secure, or may lie in one."""
    zone = case.made.zone_over(case.question[0])
    opt_out = zone.nsec3 is not None and zone.nsec3.opt_out
    return opt_out or not case.made.chain_is_signed(case.question[0])


def _with_delv(ours: Opinion, unbound: Opinion, delv: Opinion) -> str:
    if delv.verdict == unbound.verdict or {delv.verdict, unbound.verdict} <= REFUSED:
        return "delv sides with Unbound"
    if {ours.verdict, delv.verdict} <= REFUSED:
        return BOTH_REFUSE
    if ours.verdict == unbound.verdict:
        return f"delv alone says {delv.verdict}, not {ours.verdict}: {delv.why or 'no reason given'}"
    return f"three opinions: {ours.verdict}, Unbound {unbound.verdict}, delv {delv.verdict}"


def is_failure(found: Sequence[Disagreement]) -> bool:
    """Return whether a difference with Unbound is unexplained."""
    return any(one.klass.startswith(UNEXPLAINED) for one in found)
