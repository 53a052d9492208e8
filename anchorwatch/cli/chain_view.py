"""One verdict for a person: the chain from the anchor down, the weakest link marked, the reason in one sentence.

Coloured on a terminal, plain in a pipe. DNS data are hostile: nothing unprintable leaves.
"""

from datetime import datetime, timedelta

import click

from alerts.delivery.wording import printable
from analyzer.endpoints.claims import disagreements
from schemas.catalogue import sentence_of, source_of
from schemas.judgement import AliasLink, ChainLink, Judgement, Reason, ResolverClaim, Verdict, data_of

COLOURS = {
    Verdict.SECURE: "green",
    Verdict.INSECURE: "yellow",
    Verdict.BOGUS: "red",
    Verdict.INDETERMINATE: "magenta",
}
SIGNS = {Verdict.SECURE: "✓", Verdict.INSECURE: "–", Verdict.BOGUS: "✗", Verdict.INDETERMINATE: "?"}
ALGORITHMS = {
    5: "RSASHA1",
    7: "RSASHA1-NSEC3",
    8: "RSASHA256",
    10: "RSASHA512",
    13: "ECDSAP256",
    14: "ECDSAP384",
    15: "ED25519",
    16: "ED448",
}


def paint(verdict: Verdict) -> str:
    """Return the verdict in its colour."""
    return click.style(str(verdict).upper(), fg=COLOURS[verdict], bold=True)


def show(judgement: Judgement, now: datetime, *, claims_asked: bool = True) -> str:
    """Return the whole screen for one judgement, with what the resolver tells its clients where that was asked."""
    lines = [
        f"{judgement.name} {judgement.type} is {paint(judgement.verdict)}"
        f" {click.style(judgement.rcode, dim=True)} as seen through {judgement.vantage}"
    ]
    lines += [f"  {printable(answer)}" for answer in judgement.answers[:20]]
    if judgement.verdict is Verdict.SECURE and not judgement.answers:
        absent = "the name DOES NOT EXIST" if judgement.rcode == "NXDOMAIN" else f"it has no {judgement.type} record"
        lines.append(f"  {absent}, as its zone proves")
    if len(judgement.answers) > 20:
        lines.append(f"  and {len(judgement.answers) - 20} more records")
    lines.append("")
    lines += [_chain_line(depth, link, judgement, now) for depth, link in enumerate(judgement.chain)]
    lines += [_alias_line(len(judgement.chain), link, judgement) for link in judgement.links]
    lines.append("")
    lines += [_reason_line(reason) for reason in judgement.reasons]
    lines += [click.style(f"note: {_sentence(remark)}", dim=True) for remark in judgement.remarks]
    if judgement.lenient_verdict not in (None, judgement.verdict):
        lines.append(f"A validator that forgives clock skew says {paint(Verdict(str(judgement.lenient_verdict)))}.")
    if judgement.other_verdict not in (None, judgement.verdict):
        lines.append(f"The other algorithm profile says {paint(Verdict(str(judgement.other_verdict)))}.")
    if judgement.expires_at is not None:
        lines.append(f"The first signature it rests on ends {_when(judgement.expires_at, now)}.")
    if claims_asked:
        lines += [
            _claim_line(judgement, "DO=1", judgement.resolver),
            _claim_line(judgement, "no EDNS", judgement.plain),
        ]
        lines += [click.style(printable(text), fg="red") for _, text in disagreements(judgement, frozenset())]
    return "\n".join(lines)


def _chain_line(depth: int, link: ChainLink, judgement: Judgement, now: datetime) -> str:
    sign = click.style(SIGNS[link.verdict], fg=COLOURS[link.verdict], bold=True)
    parts = [f"{'  ' * depth}{sign} {click.style(link.zone, bold=True)}"]
    if link.ds:
        parts.append("DS " + ", ".join(" ".join(ds.split()[:3]) for ds in link.ds[:4]))
    if link.keys:
        parts.append("keys " + ", ".join(_key(key.tag, key.algorithm, key.flags, link) for key in link.keys[:6]))
    if link.expires_at is not None:
        parts.append(f"signed until {_when(link.expires_at, now)}")
    if link.verdict is Verdict.INSECURE and not link.ds:
        parts.append("not signed: the parent proves that there is no DS")
    return "  ".join(parts) + _pointer(link.zone, judgement, link.verdict)


def _key(tag: int, algorithm: int, flags: int, link: ChainLink) -> str:
    role = "KSK" if flags & 1 else "ZSK"
    signs = "*" if tag in link.signed_by else ""
    return f"{role} {tag}{signs} {ALGORITHMS.get(algorithm, f'algorithm {algorithm}')}"


def _alias_line(depth: int, link: AliasLink, judgement: Judgement) -> str:
    sign = click.style(SIGNS[link.verdict], fg=COLOURS[link.verdict], bold=True)
    text = f"{'  ' * depth}{sign} {link.name} {link.type}"
    if link.target:
        text += f" → {link.target}"
    if link.signed_by:
        text += f"  signed by key {link.signed_by[0]} of {link.zone}"
    weakest = max(judgement.links, key=lambda one: one.verdict.weakness)
    broken_above = any(one.verdict is judgement.verdict for one in judgement.chain)
    if link is weakest and link.verdict is not Verdict.SECURE and not broken_above:
        text += click.style("  ← the weakest link", fg=COLOURS[link.verdict])
    return text


def _pointer(zone: str, judgement: Judgement, verdict: Verdict) -> str:
    if verdict is Verdict.SECURE or verdict is not judgement.verdict:
        return ""
    return click.style("  ← the weakest link", fg=COLOURS[verdict])


def _sentence(reason: Reason) -> str:
    ede = f", EDE {reason.ede}" if reason.ede is not None else ""
    return printable(f"{reason.code} at {reason.zone}: {reason.detail} ({source_of(reason.code)}{ede})")


def _reason_line(reason: Reason) -> str:
    return f"Because {printable(sentence_of(reason.code))}: {_sentence(reason)}."


def _when(at: datetime, now: datetime) -> str:
    left = at - now
    ago = left < timedelta()
    left = abs(left)
    if left >= timedelta(days=2):
        text = f"{left.days} days"
    elif left >= timedelta(hours=2):
        text = f"{left.total_seconds() / 3600:.0f} hours"
    else:
        text = f"{left.total_seconds() / 60:.0f} minutes"
    shown = f"{at:%Y-%m-%d %H:%M} UTC ({text} {'ago' if ago else 'left'})"
    return click.style(shown, fg="red") if ago else shown


def _claim_line(judgement: Judgement, way: str, claim: ResolverClaim | None) -> str:
    if claim is None:
        return click.style(f"Clients that ask with {way} get no answer from the resolver.", dim=True)
    ede = "; ".join(f"EDE {code} {printable(text)}".strip() for code, text in claim.ede)
    ad = "" if way == "no EDNS" else f", AD={int(claim.ad)}"
    data = sorted(data_of(claim.answers, judgement.type))
    shown = printable(": " + ", ".join(data[:8]) if data else "")
    return f"Clients that ask with {way} get {claim.rcode}{ad}{f', {ede}' if ede else ''}{shown}."
