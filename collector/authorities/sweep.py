"""One sweep: each server of a zone, and each of the zone above, is asked the same; what they say side by side. Pure.

The names of the servers are those of the delegation and those that the zone itself gives; each address of each name
counts as a server.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from collector.authorities.addresses import family_of
from collector.authorities.delegations import UNNAMED, Delegation, glue_of
from collector.authorities.roll import MOST_NAMES, Roll, Seat, call_roll, describe_unresolved
from collector.authorities.sights import (
    APEX,
    Assessor,
    Trust,
    delegated,
    not_asked,
    read_status,
    see_child,
    see_parent,
)
from collector.authorities.walk import Asked, Walker
from collector.config import Authorities
from collector.dnssec import names, records
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.budget import Budget
from collector.dnssec.chain import find_node
from collector.dnssec.context import ChainNode, Context, Window
from collector.dnssec.judgement import make_evidence
from collector.dnssec.message import Response, read_glue
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Reply
from collector.dnssec.records import DelegationSigner, KeyRecord
from collector.resolvers.dialogue import Instant, Question, Steps, pose_together
from schemas.judgement import Verdict
from schemas.messages import Evidence, ServerSight, ServerStatus, SignatureState, SignatureWindow, ZoneSweep, utc
from schemas.wire import digest_of

MOST_SERVERS = 32
"""Addresses that one sweep asks on each side of a cut."""
MOST_WATCHED = 8
"""Names and types of the inventory that each server of their zone is asked for."""
MOST_MESSAGES, MOST_EVIDENCE_BYTES = 64, 131_072
ATTEMPTS = 3
"""The last is over TCP."""
CONTROLS = 3
HEALTHY = (SignatureState.VALID, SignatureState.UNKNOWN)


@dataclass(slots=True)
class _Side:
    """What the servers on one side of a cut said, by seat."""

    replies: dict[Seat, dict[Asked, Reply]] = field(default_factory=dict)
    refused: dict[Seat, str] = field(default_factory=dict)

    def all_replies(self) -> Iterable[Reply]:
        return (reply for replies in self.replies.values() for reply in replies.values())


class Sweeper:
    """Sweeps zones, one or several at a time; ``instant`` is kept by whoever drives it."""

    def __init__(
        self, config: Authorities, walker: Walker, anchors: TrustAnchors, policy: Policy, instant: Instant
    ) -> None:
        self._config, self._walker = config, walker
        self._anchors, self._policy, self._instant = anchors, policy, instant
        self._nodes: dict[Name, ChainNode] = {}

    def trust(self, anchors: TrustAnchors) -> None:
        """Validate from these anchors from now on."""
        self._anchors, self._nodes = anchors, {}

    def sweep(self, zone: Name, watched: Sequence[Asked], *, alarm: bool) -> Steps[ZoneSweep]:
        """Ask all servers of a zone and of its parent; the evidence is there where servers differ or fail."""
        node = yield from self._find_node(zone, anew=alarm)
        known = yield from self._walker.find(zone)
        parent = self._parent_of(zone, node, known)
        above = _Side()
        if parent is not None:
            yield from self._ask_parent(above, zone, parent)
        questions = tuple(dict.fromkeys([*(Asked(zone, kind) for kind in APEX), *watched[:MOST_WATCHED]]))
        child = _Side()
        unresolved: dict[Name, str] = {}
        servers = self._servers_of(zone, parent, known, above)
        met, names_left = set(servers), MOST_NAMES
        while servers:
            roll = yield from call_roll(self._config.vantage, servers, self._config.port, names_left)
            names_left = max(names_left - len(servers), 0)
            unresolved |= roll.unresolved
            yield from self._ask_all(child, roll, zone, Asked(zone, records.SOA), questions)
            servers = {server: () for server in _named_by(child, zone) if server not in met}
            met |= set(servers)
        return self._report(zone, parent, node, above, child, unresolved, alarm=alarm)

    def forget(self) -> None:
        """Forget what chains have taught; sweeps under way go on with it."""
        self._nodes = {}

    def _find_node(self, zone: Name, *, anew: bool) -> Steps[ChainNode | None]:
        """Return the node of the chain at a zone as it is now, None where no trust anchor lies above it.

        ``anew``: the chain above is asked for again, too.
        """
        now = int(self._instant.at)
        known = {} if anew else self._nodes
        self._nodes = {name: node for name, node in known.items() if node.fresh_until > now and name != zone}
        anchor = self._anchors.closest(zone)
        if anchor is None:
            return None
        context = Context(now, self._anchors, self._policy, Budget(self._policy), self._nodes)
        context.signatures_seen = True  # nobody stands between us and the servers who might leave out signatures
        questions = find_node(context, zone, anchor)
        try:
            asked = next(questions)
            while True:
                reply: Reply = yield Question(self._config.vantage, asked.name, asked.rdtype)
                asked = questions.send(reply)
        except StopIteration as stop:
            node: ChainNode = stop.value
            return node

    # asking

    def _parent_of(self, zone: Name, node: ChainNode | None, known: Delegation | None) -> Name | None:
        """Return the zone above: as proven by the chain, else as the referral had it; None for the root."""
        if not zone:
            return None
        if node is not None and node.zone == zone and node.parent is not None:
            return next(one.zone for one in reversed(node.path()) if len(one.zone) < len(zone))
        if known is not None and known.above is not None:
            return known.above
        return self._walker.delegations.closest(zone[:-1], self._instant.now).zone

    def _ask_parent(self, side: _Side, zone: Name, parent: Name) -> Steps[None]:
        delegation = yield from self._walker.find(parent)
        if delegation is None:
            return
        roll = yield from call_roll(self._config.vantage, delegation.servers, self._config.port)
        questions = (Asked(zone, records.DS), Asked(zone, records.NS), Asked(parent, records.SOA))
        yield from self._ask_all(side, roll, parent, Asked(zone, records.DS), questions)

    def _servers_of(
        self, zone: Name, parent: Name | None, known: Delegation | None, above: _Side
    ) -> dict[Name, tuple[str, ...]]:
        """Return the servers that the parent's servers name, with their glue, and those that are known otherwise."""
        servers = dict(known.servers) if known is not None else {}
        for replies in above.replies.values():
            reply = replies.get(Asked(zone, records.NS))
            if not isinstance(reply, Response):
                continue
            glue = read_glue(reply.wire)
            for server in map(records.target_of, delegated(reply, zone)):
                found = glue_of(server, glue, parent or names.ROOT, self._config.port)
                servers[server] = tuple(dict.fromkeys([*servers.get(server, ()), *found]))
        return servers

    def _ask_all(self, side: _Side, roll: Roll, zone: Name, first: Asked, questions: tuple[Asked, ...]) -> Steps[None]:
        """Ask each seat what each server must know; who answers is asked the rest."""
        seats = [seat for seat in roll.seats if seat not in side.replies and seat not in side.refused]
        allowed = [seat for seat in seats if self._walker.may_ask(zone, seat.address)]
        side.refused |= {seat: "a private address, which may not be asked" for seat in seats if seat not in allowed}
        left = max(MOST_SERVERS - len(side.replies), 0)
        side.refused |= dict.fromkeys(allowed[left:], f"more than {MOST_SERVERS} servers")
        asked_now, began_at = allowed[:left], self._instant.now
        replies = yield from pose_together(self._to(seat, first) for seat in asked_now)
        for seat, reply in zip(asked_now, replies, strict=True):
            self._walker.standing.learn(seat.address, reply, self._instant.now)
            side.replies[seat] = {first: reply}
        yield from self._excuse_families(side, asked_now, began_at)
        rest = [question for question in questions if question != first]
        answering = [seat for seat in asked_now if seat in side.replies and _is_heard(side.replies[seat][first])]
        pairs = [(seat, question) for seat in answering for question in rest]
        replies = yield from pose_together(self._to(seat, question) for seat, question in pairs)
        for (seat, question), reply in zip(pairs, replies, strict=True):
            side.replies[seat][question] = reply

    def _to(self, seat: Seat, asked: Asked) -> Question:
        vantage = self._config.vantage
        return Question(vantage, asked.name, asked.rdtype, attempts=ATTEMPTS, server=seat.address)

    def _excuse_families(self, side: _Side, seats: Iterable[Seat], since: float) -> Steps[None]:
        """Take back the silence of servers whose kind of address leads nowhere from here: it is our own network's."""
        silent = [seat for seat in seats if not _is_heard(next(iter(side.replies[seat].values())))]
        for family in sorted({family_of(seat.address) for seat in silent}):
            if (yield from self._reaches(family, since)):
                continue
            for seat in silent:
                if family_of(seat.address) == family:
                    del side.replies[seat]
                    side.refused[seat] = f"no server answers over IPv{family} from here"

    def _reaches(self, family: int, since: float) -> Steps[bool]:
        """Return whether anything answers over a kind of address; some root servers tell where nothing did."""
        standing = self._walker.standing
        if standing.reaches(family, since):
            return True
        roots = self._walker.delegations.closest(names.ROOT, since).servers.values()
        controls = [address for found in roots for address in found if family_of(address) == family][:CONTROLS]
        asked = Asked(names.ROOT, records.SOA)
        replies = yield from pose_together(self._to(Seat(UNNAMED, address), asked) for address in controls)
        for address, reply in zip(controls, replies, strict=True):
            standing.learn(address, reply, self._instant.now)
        return standing.reaches(family, since)

    # reporting

    def _report(
        self,
        zone: Name,
        parent: Name | None,
        node: ChainNode | None,
        above: _Side,
        child: _Side,
        unresolved: Mapping[Name, str],
        *,
        alarm: bool,
    ) -> ZoneSweep:
        assessor = Assessor(int(self._instant.at), self._policy)
        sights = _see_parents(assessor, zone, parent or names.ROOT, _keys_of(node, parent), above)
        trust = self._trust_of(zone, node, sights)
        keys = assessor.trusted_keys(trust, child.all_replies())
        own, windows = _see_children(assessor, trust, keys, child)
        sights = sorted((*sights, *own), key=lambda sight: (not sight.of_parent, sight.name, sight.server))
        sweep = ZoneSweep(
            id="",
            zone=names.to_text(zone),
            parent=names.to_text(parent) if parent is not None else "",
            vantage=self._config.vantage,
            swept_at=utc(self._instant.at),
            verdict=_verdict_of(node, keys),
            alarm=alarm,
            servers=tuple(sights),
            unresolved=describe_unresolved(unresolved),
            windows=tuple(_window(zone, kind, windows[kind]) for kind in sorted(windows)),
        )
        identity = digest_of(sweep.zone, content_of(sweep), sweep.swept_at.isoformat())[:32]
        evidence = self._evidence(zone, node, sweep, above, child)
        return msgspec.structs.replace(sweep, id=identity, evidence=evidence)

    def _trust_of(self, zone: Name, node: ChainNode | None, sights: Iterable[ServerSight]) -> Trust:
        """Return what vouches for the keys of a zone: its chain, or the DS sets that the parent's servers sign."""
        if node is None or node.verdict is Verdict.INSECURE:
            return Trust(zone)
        texts = set(node.link.ds) if node.link is not None and node.zone == zone else set()
        for sight in sights:
            texts |= set(sight.ds) if sight.signatures is SignatureState.VALID else set()
        ds_set = tuple(sorted((_read_ds(text) for text in texts), key=lambda ds: ds.to_text()))
        keys = node.keys if node.zone == zone else ()
        return Trust(zone, keys, ds_set, self._anchors.by_zone.get(zone))

    def _evidence(
        self, zone: Name, node: ChainNode | None, sweep: ZoneSweep, above: _Side, child: _Side
    ) -> Evidence | None:
        """Return the responses of servers that differ from most, or fail; with those of one that does not."""
        odd = _odd_ones(sweep.servers)
        if not odd:
            return None
        wires = [wire for one in (node.path() if node is not None else ()) for wire in one.messages]
        for side, of_parent in ((above, True), (child, False)):
            for seat, replies in side.replies.items():
                if (of_parent, seat.address) in odd:
                    wires += [reply.wire for reply in replies.values() if isinstance(reply, Response)]
        kept: list[bytes] = []
        size = 0
        for wire in dict.fromkeys(wires):
            size += len(wire)
            if len(kept) == MOST_MESSAGES or size > MOST_EVIDENCE_BYTES:
                break
            kept.append(wire)
        return make_evidence(kept, zone, records.SOA, int(self._instant.at), self._anchors, self._policy)


def _see_parents(
    assessor: Assessor, zone: Name, parent: Name, keys: tuple[KeyRecord, ...], above: _Side
) -> list[ServerSight]:
    """Return what each server of the zone above says; of its own data only the DS set, or its denial, is judged."""
    trust = Trust(parent, keys)
    sights = [not_asked(seat, why, of_parent=True) for seat, why in above.refused.items()]
    for seat, replies in above.replies.items():
        own = {asked: reply for asked, reply in replies.items() if asked.rdtype == records.DS}
        sights.append(see_parent(seat, zone, parent, replies, assessor.assess(trust, keys, own)))
    return sights


def _see_children(
    assessor: Assessor, trust: Trust, keys: tuple[KeyRecord, ...], child: _Side
) -> tuple[list[ServerSight], dict[int, Window]]:
    """Return what each server of a zone says, and by type the windows of its signatures that end first."""
    windows: dict[int, Window] = {}
    sights = [not_asked(seat, why, of_parent=False) for seat, why in child.refused.items()]
    first = Asked(trust.zone, records.SOA)
    for seat, replies in child.replies.items():
        status, _ = read_status(replies[first], trust.zone, first)
        signatures = assessor.assess(trust, keys, replies if status is ServerStatus.ANSWERS else {})
        windows |= {kind: window.or_earlier(windows.get(kind)) for kind, window in signatures.windows.items()}
        sights.append(see_child(seat, trust.zone, replies, signatures))
    return sights, windows


def content_of(sweep: ZoneSweep) -> str:
    """Return a digest of all that makes a sweep say something else; no times, no serials, no prose."""
    parts: list[str] = [sweep.zone, sweep.parent, sweep.verdict, *sweep.unresolved]
    for sight in sweep.servers:
        parts += (str(sight.of_parent), sight.server, sight.name, *_said_by(sight))
    return digest_of(*parts)


def _said_by(sight: ServerSight) -> tuple[str, ...]:
    answers = (f"{asked} {data}" for asked, data in sorted(sight.answers.items()))
    keys = (key.digest for key in sight.keys)
    reasons = (f"{reason.code} {reason.rrset}" for reason in sight.reasons)
    parts = (sight.ns, sight.ds, sight.cds, sight.cdnskey, keys, answers, reasons)
    return (sight.status, sight.signatures, *("|".join(part) for part in parts))


def _odd_ones(sights: Sequence[ServerSight]) -> set[tuple[bool, str]]:
    """Return the servers, by side and address, that differ from most of their side or fail; and one that does not."""
    odd: set[tuple[bool, str]] = set()
    for of_parent in (True, False):
        side = [one for one in sights if one.of_parent is of_parent and one.status is not ServerStatus.NOT_ASKED]
        said = {one.server: (*_said_by(one), str(one.serial)) for one in side}
        usual = Counter(said.values()).most_common(1)[0][0] if said else ()
        failing = {one.server for one in side if one.signatures not in HEALTHY or one.status != ServerStatus.ANSWERS}
        differing = {server for server, words in said.items() if words != usual} | failing
        if differing:
            witness = next((server for server, words in said.items() if words == usual), None)
            odd |= {(of_parent, server) for server in (*differing, witness) if server is not None}
    return odd


def _is_heard(reply: Reply) -> bool:
    return isinstance(reply, Response) or not reply.is_silence


def _named_by(side: _Side, zone: Name) -> dict[Name, None]:
    """Return the names of servers that a zone itself gives."""
    asked = Asked(zone, records.NS)
    replies = [replies[asked] for replies in side.replies.values() if asked in replies]
    found = [reply.answer.get((zone, records.NS)) for reply in replies if isinstance(reply, Response)]
    return {records.target_of(rdata): None for rrset in found if rrset is not None for rdata in rrset.rdatas}


def _verdict_of(node: ChainNode | None, keys: tuple[KeyRecord, ...]) -> Verdict:
    """Return the verdict on a zone: secure where the chain holds through one of its servers, whichever was asked."""
    if node is None:
        return Verdict.INSECURE
    return Verdict.SECURE if keys and node.verdict is not Verdict.INSECURE else node.verdict


def _keys_of(node: ChainNode | None, zone: Name | None) -> tuple[KeyRecord, ...]:
    path = node.path() if node is not None else ()
    return next((one.keys for one in path if one.zone == zone and one.verdict is Verdict.SECURE), ())


def _read_ds(text: str) -> DelegationSigner:
    tag, algorithm, digest_type, digest = text.split()
    return DelegationSigner(int(tag), int(algorithm), int(digest_type), bytes.fromhex(digest))


def _window(zone: Name, kind: int, window: Window) -> SignatureWindow:
    return SignatureWindow(
        zone=names.to_text(zone),
        rrset=f"{names.to_text(zone)} {records.type_to_text(kind)}",
        inception_at=utc(window.inception),
        expires_at=utc(window.expiration),
    )
