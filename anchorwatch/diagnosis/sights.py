"""What a resolver showed, as data, and what follows from it. Pure.

Source: RFC 4035 §3.2 (DO, CD and AD at a resolver), RFC 6891 §6.2.3 (UDP payloads), RFC 7766 §5 (TCP), RFC 8027.
"""

from collections.abc import Iterator

import msgspec

from anchorwatch.diagnosis.checks import Check, State
from schemas.judgement import Verdict

PLAIN_UDP_BYTES = 512
"""The most that fits into an answer over UDP without EDNS. Source: RFC 1035 §4.2.1."""


class Sight(msgspec.Struct, kw_only=True):
    """What came of the questions to one resolver, filled in as replies come.

    None where a question was not asked, or had no reply in time.

    answered: some reply came; ``trouble`` is why none did.
    signed: the root's key set came with signatures, where DO=1 was set.
    cd_kept: a question with CD=1 had a reply with CD=1.
    udp_bytes: the largest whole answer over UDP.
    truncated: an answer over UDP said that the whole is to be had over TCP.
    over_tcp: the same was answered over TCP.
    claims_ad: the root's key set is AD=1 for a client.
    anchors: what each trust anchor's key set was judged to be, by zone: the verdict and why.
    bogus_verdict: what we judge the name to be that is known to be bogus; ``bogus_rcode`` what a client gets for it;
    ``bogus_data`` whether there are data in that.
    windows: inception and expiration of signatures that hold, POSIX seconds.
    """

    name: str
    url: str
    is_resolver: bool = True
    is_udp: bool = True
    answered: bool = False
    trouble: str = ""
    signed: bool | None = None
    cd_kept: bool | None = None
    udp_bytes: int | None = None
    truncated: bool = False
    over_tcp: bool | None = None
    claims_ad: bool | None = None
    anchors: dict[str, tuple[Verdict, str]] = msgspec.field(default_factory=dict)
    bogus_verdict: Verdict | None = None
    bogus_rcode: str | None = None
    bogus_data: bool = False
    windows: list[tuple[int, int]] = msgspec.field(default_factory=list)

    @property
    def can_validate(self) -> bool:
        """Return whether all that validation needs comes through it: signatures, also of what it thinks is bogus."""
        return bool(self.signed) and self.cd_kept is not False


def checks_of(sight: Sight, bogus_name: str) -> list[Check]:
    """Return what a sight means, a check for each ability."""
    part = f"resolver {sight.name}"
    if not sight.answered and sight.trouble:
        change = f"look at {sight.url}, at the way to it, or name another resolver in 'vantages'"
        checks = [Check(part=part, what="answers", state=State.CRITICAL, detail=sight.trouble, change=change)]
    elif not sight.answered:
        checks = [Check(part=part, what="answers", state=State.UNKNOWN, detail="no reply in time")]
    else:
        checks = [Check(part=part, what="answers", state=State.OK, detail=sight.url)]
    if sight.is_resolver:
        for what, (state, detail, change) in _abilities(sight, bogus_name):
            checks.append(Check(part=part, what=what, state=state, detail=detail, change=change))
    checks += [_anchor_check(zone, verdict, why, sight.name) for zone, (verdict, why) in sight.anchors.items()]
    return checks


Found = tuple[State, str, str]
NO_REPLY: Found = (State.UNKNOWN, "no reply, so nothing is known", "")


def _abilities(sight: Sight, bogus_name: str) -> Iterator[tuple[str, Found]]:
    yield "DNSSEC records (DO)", _signed(sight)
    yield "answers unchecked (CD)", _cd(sight)
    if sight.is_udp:
        yield "large answers over UDP", _large(sight)
        yield "TCP", _tcp(sight)
    yield "validates for its clients", _validates(sight)
    yield "refuses what is bogus", _refuses(sight, bogus_name)


def _signed(sight: Sight) -> Found:
    if sight.signed is None:
        return NO_REPLY
    if sight.signed:
        return State.OK, "signatures come along", ""
    change = (
        "every name is indeterminate through it: have it pass DNSSEC records on (Unbound: module-config with validator;"
        " BIND: dnssec-validation auto; systemd-resolved: DNSSEC=yes, or name its upstream), or watch through another"
    )
    return State.CRITICAL, "no signatures come along: it drops them", change


def _cd(sight: Sight) -> Found:
    if sight.cd_kept is None:
        return NO_REPLY
    if sight.cd_kept:
        return State.OK, "the bit is kept", ""
    change = "what it holds to be bogus can't be looked into through it: have it honour CD (RFC 4035 §3.2.2)"
    return State.WARNING, "the bit is dropped from its answers", change


def _large(sight: Sight) -> Found:
    if sight.udp_bytes is not None and sight.udp_bytes > PLAIN_UDP_BYTES:
        return State.OK, f"{sight.udp_bytes} octets came whole", ""
    if sight.truncated:
        return State.OK, "it says TC=1 rather than to send what does not fit", ""
    if sight.udp_bytes is None and sight.over_tcp:
        change = "a firewall may drop large or fragmented UDP: let them pass, or say tcp:// in 'vantages'"
        return State.WARNING, "silence over UDP, an answer over TCP", change
    if sight.udp_bytes is None:
        return NO_REPLY
    return State.UNKNOWN, f"the answer has {sight.udp_bytes} octets, too few to show it", ""


def _tcp(sight: Sight) -> Found:
    if sight.over_tcp is None:
        return NO_REPLY
    if sight.over_tcp:
        return State.OK, "it answers", ""
    if sight.udp_bytes is None and not sight.truncated:
        return NO_REPLY
    change = "what is truncated or doubtful is asked over TCP: open port 53/tcp to it (RFC 7766 §5)"
    return State.CRITICAL, "no answer, though there is one over UDP", change


def _validates(sight: Sight) -> Found:
    if sight.claims_ad is None:
        return NO_REPLY
    if sight.claims_ad:
        return State.OK, "the root's key set is AD=1", ""
    change = "its clients are not protected: turn validation on there; the watch validates by itself"
    return State.WARNING, "the root's key set is AD=0", change


def _refuses(sight: Sight, name: str) -> Found:
    if sight.bogus_verdict is None or sight.bogus_rcode is None:
        return NO_REPLY
    if sight.bogus_verdict is not Verdict.BOGUS:
        return State.UNKNOWN, f"{name} is {sight.bogus_verdict} through it, not bogus: it shows nothing", ""
    if sight.bogus_rcode == "SERVFAIL" and not sight.bogus_data:
        return State.OK, f"{name} is SERVFAIL", ""
    if sight.bogus_data:
        change = "its clients get forged data: turn validation on there; the watch validates by itself"
        return State.WARNING, f"{name} is answered, though it is bogus", change
    return State.UNKNOWN, f"{name} is {sight.bogus_rcode}", ""


def _anchor_check(zone: str, verdict: Verdict, why: str, name: str) -> Check:
    what = f"agree with {zone} by {name}"
    if verdict is Verdict.SECURE:
        detail = "its key set is signed by one of them"
        return Check(part="trust anchors", what=what, state=State.OK, detail=detail)
    if verdict is Verdict.INDETERMINATE:
        return Check(part="trust anchors", what=what, state=State.UNKNOWN, detail=why or "its key set did not come")
    change = (
        "compare the file with what the zone's owner publishes (the root's: IANA's root-anchors.xml), and the clock;"
        " do not copy a key from an answer"
    )
    return Check(part="trust anchors", what=what, state=State.CRITICAL, detail=f"{verdict}: {why}", change=change)
