"""A recursive resolver: it follows referrals, keeps what it heard until its TTL ends, and validates for its clients.

Source: RFC 1034 §5.3.3 (the algorithm), RFC 2181 §5.2 and RFC 2308 §5 (caching), RFC 4035 §3.2 (CD and AD), §4.7 (what
failed is kept for a short time), RFC 6840 §5.8 (AD only for those who ask), RFC 8914 (extended errors).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

import dns.name
import msgspec
from dns.rdatatype import RdataType

from anchorwatch.replay.messages import SERVFAIL, Header, Part, Template, failed
from anchorwatch.replay.servers import Server, part_of
from anchorwatch.replay.zones import ServedZone, chance
from collector.dnssec import names
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.budget import Budget
from collector.dnssec.context import ChainNode, Context
from collector.dnssec.judgement import fresh_until
from collector.dnssec.message import Response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, drive
from collector.dnssec.validation import validate
from collector.dnssec.wording import make_reason
from schemas.codes import Code
from schemas.judgement import VALIDATED, Verdict

ROOT = dns.name.root
USUAL_LATENCY_S = 0.02
MOST_TEMPLATES = 2_000
STEPPED_TTL_S = 3600
STEPS = 16
MOST_LINKS = 12
MOST_REFERRALS = 24
DEEPEST = 4
PATIENCE_S = 0.4
FAILURES_KEPT_S = 5.0
UNDER_NEGATIVE_ANCHOR = (33, "a negative trust anchor is set here")
NO_REACHABLE_AUTHORITY = (22, "no server of the zone answers")
DEFAULT_MAX_TTL_S = 86_400
FOREVER = float("inf")


class Net(Protocol):
    """What a resolver reaches."""

    @property
    def hints(self) -> tuple[str, ...]:
        """Return the addresses of the root's servers."""
        ...

    def server_at(self, address: str) -> Server | None:
        """Return the server at an address, None where nothing listens."""
        ...

    def is_lost(self, share: float) -> bool:
        """Return whether a packet is lost, by chance."""
        ...


@dataclass(slots=True)
class Kept:
    """An answer in the cache: when it came, and until when it stands (seconds since the start)."""

    part: Part
    since: float
    until: float


@dataclass(slots=True)
class Delegation:
    """The servers of a zone, as the zone above named them."""

    zone: dns.name.Name
    names: tuple[dns.name.Name, ...]
    glue: dict[dns.name.Name, tuple[str, ...]]
    until: float


@dataclass(frozen=True)
class Lie:
    """What clients are told instead: ``part``, to those that ask with EDNS, without it, or to both; AD as it says.

    To ``all`` it is told to those who ask with CD=1, too.
    """

    part: Part
    to: str = "clients"
    authentic: bool = False


@dataclass(slots=True)
class _Judged:
    """What a resolver found of a question: ``failure`` is what clients get instead of the data, ``shown`` the last part
    of the data with an extended error beside it. It stands until ``until`` (POSIX seconds) for the same ``parts``."""

    parts: tuple[int, ...]
    until: float
    authentic: bool = False
    failure: Part | None = None
    shown: Part | None = None


@dataclass(slots=True)
class _Ready:
    """An answer that stands until ``until`` and on these terms; only its TTLs run down."""

    template: Template
    chain: list[Kept]
    until: float
    terms: tuple[object, ...]
    shown: Response | None = None
    shown_until: float = 0.0

    def response(self, now: float, max_ttl_s: int) -> Response:
        """Return it as it is now. What a resolver hands on never outlives its own bound on TTLs.

        TTLs of an hour and more run down in sixteenths, always to less than is left, so that few octets differ from
        poll to poll.
        """
        if self.shown is None or now >= self.shown_until:
            shown = [_age_shown(kept, now, max_ttl_s) for kept in self.chain]
            self.shown = self.template.at(*[age for age, _ in shown] or (0,))
            self.shown_until = min((until for _, until in shown), default=FOREVER)
        return self.shown


def _age_shown(kept: Kept, now: float, max_ttl_s: int) -> tuple[int, float]:
    """Return how old an answer looks, in whole seconds, and until when it looks so."""
    age_s, whole_s = int(now - kept.since), kept.part.ttl_s
    ttl_s, until_s = min(whole_s, max_ttl_s), age_s + 1
    if ttl_s >= STEPPED_TTL_S:
        step = -(-age_s * STEPS // ttl_s)
        age_s, until_s = min(step * ttl_s // STEPS, ttl_s - 1), step * ttl_s // STEPS + 1
    return age_s + whole_s - ttl_s, kept.since + until_s


@lru_cache(maxsize=100_000)
def dns_name(name: names.Name) -> dns.name.Name:
    """Return a name of the collector as dnspython has it."""
    return dns.name.from_text(names.to_text(name))


@dataclass(eq=False)
class Resolver:
    """A resolver; its cache is empty at the start. Times are seconds since the start of the scenario.

    ``validates``: clients get SERVFAIL for what is bogus, and AD=1 for what is secure. ``frozen`` are zones of which it
    has a copy of its own. ``strips``: the share of its answers that come without DNSSEC records. ``epoch`` is the
    start in POSIX seconds.
    """

    name: str
    net: Net
    anchors: Callable[[], TrustAnchors]
    epoch: float
    validates: bool = True
    policy: Policy = field(default_factory=Policy)
    max_ttl_s: int = DEFAULT_MAX_TTL_S
    latency_s: float = USUAL_LATENCY_S
    loss: float = 0.0
    is_up: bool = True
    strips: float = 0.0
    rcode: int = 0
    lies: dict[tuple[dns.name.Name, int], Lie] = field(default_factory=dict)
    frozen: dict[dns.name.Name, ServedZone] = field(default_factory=dict)
    _cache: dict[tuple[dns.name.Name, int], Kept] = field(default_factory=dict)
    _delegations: dict[dns.name.Name, Delegation] = field(default_factory=dict)
    _judged: dict[tuple[dns.name.Name, int], _Judged] = field(default_factory=dict)
    _nodes: dict[names.Name, ChainNode] = field(default_factory=dict)
    _templates: dict[tuple[object, ...], tuple[list[Part], Template]] = field(default_factory=dict)
    _ready: dict[tuple[names.Name, int, bool, bool], _Ready] = field(default_factory=dict)
    _changes: int = 0
    _asked: int = 0
    _now: float = 0.0
    _spent_s: float = 0.0

    def restore(self) -> None:
        """Be up and honest again, with nothing kept that was wrong."""
        self.is_up, self.strips, self.rcode, self.loss, self.latency_s = True, 0.0, 0, 0.0, USUAL_LATENCY_S
        self.lies.clear()
        self.frozen.clear()
        self.policy = msgspec.structs.replace(self.policy, negative_trust_anchors=())
        self.flush()

    def tell(self, name: dns.name.Name, rdtype: int, lie: Lie | None) -> None:
        """Give other records for a name from now on, or with None what there is."""
        self._changes += 1
        if lie is None:
            self.lies.pop((name, rdtype), None)
        else:
            self.lies[name, rdtype] = lie

    def freeze(self, zone: dns.name.Name, copy: ServedZone | None) -> None:
        """Answer for a zone from a copy of it, or with None from what its servers say."""
        self.frozen.pop(zone, None)
        if copy is not None:
            self.frozen[zone] = copy
        self.flush()

    def forget_verdicts(self) -> None:
        """Validate anew what is kept: the policy changed."""
        self._changes += 1
        self._judged.clear()
        self._nodes.clear()

    def flush(self) -> None:
        """Forget everything that was heard."""
        self._changes += 1
        self._cache.clear()
        self._delegations.clear()
        self._judged.clear()
        self._nodes.clear()

    def reply(self, name: names.Name, rdtype: int, now: float, *, cd: bool, edns: bool) -> tuple[Response, float]:
        """Return the response to a question, and after how many seconds it is ready."""
        key = (name, rdtype, cd, edns)
        ready = self._ready.get(key)
        if ready is None or now >= ready.until or ready.terms != self._terms or self.strips:
            self._now, self._spent_s = now, 0.0
            ready = self._ready[key] = self._prepare(dns_name(name), rdtype, cd, edns)
            return ready.response(now, self.max_ttl_s), self._spent_s
        return ready.response(now, self.max_ttl_s), 0.0

    @property
    def _terms(self) -> tuple[object, ...]:
        """Return what decides, beside the cache, what is answered."""
        return self.rcode, self.validates, self._changes

    def _prepare(self, name: dns.name.Name, rdtype: int, cd: bool, edns: bool) -> "_Ready":
        dnssec_ok = edns and not (self.strips and self._is_stripped())
        header = Header(checking_disabled=cd, edns=edns, dnssec_ok=dnssec_ok)
        if self.rcode:
            return self._ready_with(name, rdtype, header, [], failed(self.rcode), FOREVER)
        lie = self.lies.get((name, rdtype))
        if lie is not None and (lie.to == "all" or (not cd and lie.to in ("clients", "edns" if edns else "plain"))):
            header = replace(header, authentic=lie.authentic and edns)
            return self._ready_with(name, rdtype, header, [], lie.part, FOREVER)
        chain = self._chain(name, rdtype)
        until = min(kept.until for kept in chain)
        if cd or not self.validates:
            return self._ready_with(name, rdtype, header, chain, None, until)
        judged = self._judge(name, rdtype, chain)
        if judged.shown is not None:
            chain = [*chain[:-1], Kept(judged.shown, chain[-1].since, chain[-1].until)]
        header = replace(header, authentic=judged.authentic and edns)
        return self._ready_with(name, rdtype, header, chain, judged.failure, min(until, judged.until - self.epoch))

    def _is_stripped(self) -> bool:
        self._asked += 1
        return self.strips >= 1.0 or chance(f"{self.name}/strip/{self._asked}") < self.strips

    def _ready_with(
        self,
        name: dns.name.Name,
        rdtype: int,
        header: Header,
        chain: list[Kept],
        instead: Part | None,
        until: float,
    ) -> "_Ready":
        parts = [instead] if instead is not None else [kept.part for kept in chain]
        key = (name, rdtype, header, *map(id, parts))
        known = self._templates.get(key)
        if known is None:
            if len(self._templates) > MOST_TEMPLATES:
                self._templates.clear()
            # The parts are kept beside the template, so that their ids are nobody else's meanwhile.
            known = self._templates[key] = parts, Template(name, rdtype, parts, header)
        return _Ready(known[1], [] if instead is not None else chain, until, self._terms)

    # what is known

    def _chain(self, name: dns.name.Name, rdtype: int) -> list[Kept]:
        """Return the answers along a chain of aliases."""
        chain: list[Kept] = []
        seen = {name}
        while True:
            kept = self._look_up(name, rdtype, 0)
            chain.append(kept)
            target = kept.part.target
            if target is None or rdtype in (RdataType.CNAME, RdataType.DNAME):
                return chain
            if target in seen or len(chain) >= MOST_LINKS:
                return [*chain, Kept(failed(SERVFAIL), self._now, self._now)]
            seen.add(target)
            name = target

    def _look_up(self, name: dns.name.Name, rdtype: int, depth: int) -> Kept:
        key = (name, rdtype)
        kept = self._cache.get(key)
        now = self._now
        if kept is not None and now < kept.until:
            return kept
        part = self._fetch(name, rdtype, depth)
        ttl_s = min(float(part.ttl_s), self.max_ttl_s) if part.is_authoritative else FAILURES_KEPT_S
        if kept is not None and kept.part is part:
            kept.since, kept.until = now, now + ttl_s
            return kept
        if len(self._cache) > 100_000:
            self._cache = {key: one for key, one in self._cache.items() if one.until > now}
        kept = self._cache[key] = Kept(part, now, now + ttl_s)
        return kept

    def _fetch(self, name: dns.name.Name, rdtype: int, depth: int) -> Part:
        """Ask the servers of the zones down to the one that has the answer."""
        zone = self._closest(name, rdtype)
        for _ in range(MOST_REFERRALS):
            part = self._ask_zone(zone, name, rdtype, depth)
            if part is None:
                return failed(SERVFAIL, NO_REACHABLE_AUTHORITY)
            if part.cut is None:
                return part
            self._learn(part)
            zone = part.cut
        return failed(SERVFAIL)

    def _closest(self, name: dns.name.Name, rdtype: int) -> dns.name.Name:
        """Return the deepest zone above a question whose servers are known; a DS is asked of the zone above."""
        at = name.parent() if rdtype == RdataType.DS and name != ROOT else name
        while at != ROOT:
            known = self._delegations.get(at)
            if at in self.frozen or (known is not None and self._now < known.until):
                return at
            at = at.parent()
        return ROOT

    def _learn(self, part: Part) -> None:
        """Keep a referral. Glue is kept with it, and used for nothing else."""
        assert part.cut is not None
        servers = next(rrset for rrset in part.authority if rrset.rdtype == RdataType.NS)
        glue: dict[dns.name.Name, tuple[str, ...]] = {}
        for rrset in part.additional:
            glue[rrset.name] = (*glue.get(rrset.name, ()), *(record.address for record in rrset))
        found = tuple(record.target for record in servers)
        until = self._now + min(servers.ttl, self.max_ttl_s)
        self._delegations[part.cut] = Delegation(part.cut, found, glue, until)

    def _ask_zone(self, zone: dns.name.Name, name: dns.name.Name, rdtype: int, depth: int) -> Part | None:
        """Return what the zone's servers say, None where none of them says anything of use."""
        if zone in self.frozen:
            return part_of(self.frozen[zone], name, rdtype)
        addresses = self._addresses(zone, depth)
        self._asked += 1
        first = self._asked % len(addresses) if addresses else 0
        for address in (*addresses[first:], *addresses[:first]):
            server = self.net.server_at(address)
            if server is None or not server.is_up or (self.net.is_lost(server.loss) and self.net.is_lost(server.loss)):
                self._spent_s += PATIENCE_S
                continue
            self._spent_s += server.latency_s
            part = server.part(name, rdtype)
            is_lame = part.cut is not None and (len(part.cut) <= len(zone) or not name.is_subdomain(part.cut))
            if not is_lame and part.rcode in (0, 3, 6) and (part.is_authoritative or part.cut is not None):
                return part
        return None

    def _addresses(self, zone: dns.name.Name, depth: int) -> tuple[str, ...]:
        if zone == ROOT:
            return self.net.hints
        known = self._delegations[zone]
        found: list[str] = []
        for server in known.names:
            if server in known.glue:
                found += known.glue[server]
            elif depth < DEEPEST and not server.is_subdomain(zone):
                part = self._look_up(server, RdataType.A, depth + 1).part
                found += [record.address for rrset in part.answer if rrset.rdtype == RdataType.A for record in rrset]
        return tuple(found)

    # what clients are told

    def _judge(self, name: dns.name.Name, rdtype: int, chain: list[Kept]) -> _Judged:
        """Validate as a resolver does, and keep it for as long as it stands."""
        key, parts = (name, rdtype), tuple(id(kept.part) for kept in chain)
        at = self.epoch + self._now
        known = self._judged.get(key)
        if known is not None and known.until > at and known.parts == parts:
            return known
        found = self._judged[key] = self._validated(name, rdtype, chain, parts, at)
        return found

    def _validated(
        self, name: dns.name.Name, rdtype: int, chain: list[Kept], parts: tuple[int, ...], at: float
    ) -> _Judged:
        if len(self._nodes) > 10_000:
            self._nodes.clear()
        context = Context(int(at), self.anchors(), self.policy, Budget(self.policy), self._nodes)
        questions = validate(context, names.from_text(name.to_text()), int(rdtype))
        result = drive(questions, self._reply_to)
        until = float(fresh_until(result))
        if result.verdict in VALIDATED:
            shown = None
            if any(judged.reason and judged.reason.code == Code.NEGATIVE_TRUST_ANCHOR for judged in result.rrsets):
                shown = chain[-1].part.with_error(*UNDER_NEGATIVE_ANCHOR)
            return _Judged(parts, until, authentic=result.verdict is Verdict.SECURE, shown=shown)
        self._nodes = {key: node for key, node in self._nodes.items() if node.verdict is Verdict.SECURE}
        fault = result.weakest.reason
        why = make_reason(fault, int(at)) if fault is not None else None
        ede = (why.ede, why.detail) if why is not None and why.ede is not None else None
        return _Judged(parts, at + FAILURES_KEPT_S, failure=failed(SERVFAIL, ede))

    def _reply_to(self, asked: Ask) -> Response:
        name = dns_name(asked.name)
        header = Header(checking_disabled=True)
        ready = self._ready_with(name, asked.rdtype, header, self._chain(name, asked.rdtype), None, FOREVER)
        return ready.response(self._now, self.max_ttl_s)
