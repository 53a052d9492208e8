"""From a conclusion to the judgement and the evidence that leave the collector."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import msgspec

from collector.dnssec import names, records
from collector.dnssec.context import Context, Step
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.validation import Conclusion, Link
from schemas.judgement import ChainLink, Judgement, Reason, Verdict
from schemas.messages import Evidence, utc
from schemas.wire import digest_of


def make_judgement(
    context: Context, conclusion: Conclusion, qname: Name, qtype: int, vantage: str
) -> tuple[Judgement, Evidence]:
    """Return what the conclusion means, for people and machines, and what it rests on."""
    weakest = conclusion.weakest
    evidence = _evidence(context, conclusion, qname, qtype)
    windows = [link.window for link in conclusion.links if link.window is not None]
    window = min(windows, key=lambda one: one.expiration) if windows else None
    reasons = tuple(_reasons(conclusion))
    return (
        Judgement(
            name=names.to_text(qname),
            type=records.type_to_text(qtype),
            vantage=vantage,
            verdict=conclusion.verdict,
            rcode=conclusion.rcode,
            reasons=reasons,
            remarks=tuple(_remarks(conclusion)),
            cause_zone=weakest.reason.zone if weakest.reason else "",
            answers=tuple(sorted(_answer_text(*record) for record in conclusion.records)),
            chain=tuple(_chain(conclusion.links)),
            links=tuple(link.described() for link in conclusion.links),
            inception_at=utc(window.inception) if window else None,
            expires_at=utc(window.expiration) if window else None,
            ttl_s=min((link.ttl_s for link in conclusion.links if link.ttl_s), default=0),
            validated_at=utc(context.now),
            trust_anchor=context.anchors.fingerprint,
            evidence=evidence.digest,
        ),
        evidence,
    )


def fresh_until(conclusion: Conclusion) -> int:
    """Return until when the verdict stands if the same answer comes again; POSIX seconds."""
    ends = [step.fresh_until for link in conclusion.links if link.step for step in link.step.path()]
    ends += [link.window.expiration for link in conclusion.links if link.window is not None]
    return min(ends, default=0)


def _answer_text(owner: Name, rdtype: int, rdata: bytes) -> str:
    return f"{names.to_text(owner)} {records.type_to_text(rdtype)} {records.rdata_to_text(rdtype, rdata)}"


def _reasons(conclusion: Conclusion) -> Iterable[Reason]:
    """Yield the decisive reason, then those of other weak links, then the exit from signed space."""
    weakest = conclusion.weakest
    seen: set[tuple[str, str]] = set()
    for link in (weakest, *conclusion.links):
        if link.reason is not None and (link.reason.code, link.reason.zone) not in seen:
            seen.add((link.reason.code, link.reason.zone))
            yield link.reason
    exit_link = _exit_from_signed_space(conclusion.links)
    if exit_link is not None and exit_link.step is not None:
        target = names.to_text(exit_link.target or ())
        detail = f"the alias {names.to_text(exit_link.owner)} is signed and leads to {target}, which is not"
        where = f"{names.to_text(exit_link.owner)} {records.type_to_text(exit_link.rdtype)}"
        yield Reason("alias_exits_signed_space", names.to_text(exit_link.step.zone), detail, None, where)


def _exit_from_signed_space(links: list[Link]) -> Link | None:
    for link, following in pairwise(links):
        if link.verdict is Verdict.SECURE and following.verdict is Verdict.INSECURE:
            return link
    return None


def _remarks(conclusion: Conclusion) -> Iterable[Reason]:
    seen: set[tuple[str, str, str]] = set()
    for link in conclusion.links:
        steps = link.step.path() if link.step else []
        for remark in (*(remark for step in steps for remark in step.remarks), *link.remarks):
            key = (remark.code, remark.zone, remark.rrset)
            if key not in seen:
                seen.add(key)
                yield remark


def _steps(links: Iterable[Link]) -> list[Step]:
    """Return every step that the links rest on, once, each parent before its children."""
    found: dict[int, Step] = {}
    for link in links:
        for step in link.step.path() if link.step else []:
            found.setdefault(id(step), step)
    return list(found.values())


def _chain(links: Iterable[Link]) -> Iterable[ChainLink]:
    seen: set[str] = set()
    for step in _steps(links):
        if step.link is not None and step.link.zone not in seen:
            seen.add(step.link.zone)
            yield step.link


@lru_cache(maxsize=16)
def _describe_policy(policy: Policy) -> tuple[dict[str, Any], bytes]:
    """Return the policy as plain values, and as bytes that are the same for the same values."""
    values = {**msgspec.to_builtins(policy), "negative_trust_anchors": list(policy.negative_trust_anchors)}
    return values, msgspec.json.encode(values, order="sorted")


def _evidence(context: Context, conclusion: Conclusion, qname: Name, qtype: int) -> Evidence:
    messages = [wire for step in _steps(conclusion.links) for wire in step.messages] + conclusion.messages
    at = utc(context.now)
    name, mnemonic = names.to_text(qname), records.type_to_text(qtype)
    policy, settings = _describe_policy(context.policy)
    digest = digest_of(name, mnemonic, at.isoformat(), settings, *context.anchors.texts, *messages)
    return Evidence(
        digest=digest,
        name=name,
        type=mnemonic,
        at=at,
        messages=tuple(messages),
        trust_anchors=context.anchors.texts,
        policy=policy,
    )
