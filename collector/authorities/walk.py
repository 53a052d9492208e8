"""From the closest zone whose servers are known down to the servers that answer a question. Pure, by steps.

Names are shown to servers label by label, each no more than it needs to refer on. Where a server can't answer for a
shortened name, the whole one is asked.

Source: RFC 1034 §5.3.3; RFC 9156 §2.3 (minimised names), §5 (servers that can't stand them); RFC 4035 §3.1.4.1 (a DS
set is asked of the parent's servers).
"""

from dataclasses import dataclass, field, replace

from collector.authorities.addresses import address_of, is_public
from collector.authorities.delegations import (
    MOST_ADDRESSES,
    MOST_SERVERS,
    MOST_ZONES,
    UNNAMED,
    Delegation,
    Delegations,
    read_delegation,
)
from collector.authorities.effort import MOST_LOOKUPS_A_DELEGATION, MOST_REFERRALS, MOST_SILENCES, Effort
from collector.authorities.replies import Answer, Reading, Referral, Refusal, read_reply
from collector.authorities.standing import Standing
from collector.config import Authorities
from collector.dnssec import names, records
from collector.dnssec.message import NXDOMAIN, Response
from collector.dnssec.names import Name
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.dialogue import Instant, Question, Steps, pose, share

MOST_MINIMISED = 10
"""So many shortened names at most are asked for one name (RFC 9156 §2.3: MAX_MINIMISE_COUNT)."""
LABEL_BY_LABEL = 4
"""The first so many add one label each (RFC 9156 §2.3: MINIMISE_ONE_LAB)."""
FEW_SILENCES = 2
MOST_TRIED = 8
"""Servers of one zone that are asked the same until one answers."""
OVER_TCP = 2
MOST_COMPLAINTS = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the servers of a zone."""

    name: Name
    rdtype: int
    stream: bool = False

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{names.to_text(self.name)} {records.type_to_text(self.rdtype)}"


@dataclass(slots=True)
class _Tries:
    """What came of asking the servers of one zone: who refused, by address, and which names have no address."""

    at: Delegation
    asked: Asked
    refusals: dict[str, Refusal] = field(default_factory=dict)
    nameless: list[Name] = field(default_factory=list)
    lookups: int = 0

    @property
    def is_silent(self) -> bool:
        """Return whether none of those that were asked said anything."""
        return bool(self.refusals) and all(why.silent for why in self.refusals.values())


class Walker:
    """Finds who answers a question; ``instant`` is kept by whoever drives it."""

    def __init__(self, authorities: Authorities, instant: Instant) -> None:
        self._config, self._instant = authorities, instant
        self.delegations = Delegations(authorities.hints, authorities.stubs, authorities.port)
        self.standing = Standing()
        self._answered_by: dict[Name, str] = {}

    def walk(self, question: Question) -> Steps[Reply]:
        """Return what the servers of the zone that holds a name answer, or why none does."""
        effort = Effort(FEW_SILENCES if question.attempts == 1 else MOST_SILENCES)
        return (yield from self._resolve(Asked(question.name, question.rdtype, question.stream), effort, ()))

    def find(self, zone: Name) -> Steps[Delegation | None]:
        """Return the delegation of a zone as the servers above it have it, None where there is no such zone.

        Where one server has the zone and the one above, it does not refer on: its answer names the servers.
        """
        reply = yield from self._resolve(Asked(zone, records.NS), Effort(), ())
        known = self.delegations.closest(zone, self._instant.now)
        if known.zone == zone:
            return known
        found = reply.answer.get((zone, records.NS)) if isinstance(reply, Response) else None
        if found is None:
            return None
        servers = dict.fromkeys(map(records.target_of, found.rdatas[:MOST_SERVERS]), ())
        return Delegation(zone, servers, self._instant.now, known.zone)

    def may_ask(self, zone: Name, address: str) -> bool:
        """Return whether an address may be asked: a public one, one of the configuration, or any if that is allowed."""
        return self._config.allow_private or self.delegations.is_fixed(zone) or is_public(address)

    def _resolve(self, wanted: Asked, effort: Effort, path: tuple[Name, ...]) -> Steps[Reply]:
        """Walk down; ``path`` are the zones whose servers are being looked up."""
        known, now = self.delegations, self._instant.now
        holder = wanted.name[:-1] if wanted.rdtype == records.DS else wanted.name
        at = known.closest(holder, now)
        shown = known.shown(at.zone, holder, now)
        minimised = 0
        for _ in range(MOST_REFERRALS):
            depth = _next_depth(shown, len(holder), minimised)
            is_whole = depth >= len(holder) and (wanted.rdtype != records.DS or shown >= len(holder))
            asked = wanted if is_whole else Asked(holder[:depth], records.A, wanted.stream)
            outcome = yield from self._ask_zone(at, asked, effort, path)
            if isinstance(outcome, Referral):
                at = read_delegation(
                    outcome.response, outcome.zone, at.zone, now=self._instant.now, port=self._config.port
                )
                known.keep(at)
                shown = len(at.zone)
                continue
            if is_whole or (isinstance(outcome, FetchFailure) and outcome.is_silence):
                return outcome.response if isinstance(outcome, Answer) else outcome
            minimised += 1
            if isinstance(outcome, Answer) and outcome.response.rcode != NXDOMAIN:
                shown = depth
                known.note_inside(holder[:depth], at.zone, self._instant.now)
            else:
                shown = len(holder)  # some deny or refuse a name that only has others below it
        return _failed("lame", at.zone, wanted, [f"more than {MOST_REFERRALS} steps lead to no answer"])

    def _ask_zone(
        self, at: Delegation, asked: Asked, effort: Effort, path: tuple[Name, ...]
    ) -> Steps[Answer | Referral | FetchFailure]:
        """Ask the servers of a zone one after another until one answers or refers on."""
        tries = _Tries(at, asked)
        while effort.has_patience and len(tries.refusals) < MOST_TRIED:
            address = self._next(tries)
            if address is None:
                unknown = next(
                    (name for name, found in tries.at.servers.items() if not found and name != UNNAMED), None
                )
                if unknown is None or tries.lookups == MOST_LOOKUPS_A_DELEGATION or at.zone in path:
                    break
                if not effort.take_lookup(len(path)):
                    break
                yield from self._look_up(tries, unknown, effort, (*path, at.zone))
                continue
            if not effort.take_question():
                break
            reading = yield from self._ask_server(address, at.zone, asked)
            if not isinstance(reading, Refusal):
                return reading
            tries.refusals[address] = reading
            if reading.waited:
                effort.note_silence()
        return (yield from self._last_resort(tries, effort))

    def _last_resort(self, tries: "_Tries", effort: Effort) -> Steps[Answer | Referral | FetchFailure]:
        """Ask silent servers over TCP; take an answer without authority where there is no other."""
        at, asked = tries.at, tries.asked
        over_tcp = Asked(asked.name, asked.rdtype, stream=True)
        for address in list(tries.refusals)[:OVER_TCP] if tries.is_silent and not asked.stream else []:
            if not effort.has_patience or not effort.take_question():
                break
            reading = yield from self._ask_server(address, at.zone, over_tcp)
            if not isinstance(reading, Refusal):
                return reading
            tries.refusals[address] = reading
        data = next((why.data for why in tries.refusals.values() if why.data is not None), None)
        if data is not None:
            return Answer(data)
        self.delegations.doubt(at.zone, self._instant.now)
        barred = [address for address in at.addresses if not self.may_ask(at.zone, address)]
        return _failure_of(tries, barred)

    def _next(self, tries: "_Tries") -> str | None:
        """Return the address to ask next, None where all that are known were tried.

        Who asks again, over a stream, wants the word of another server.
        """
        zone = tries.at.zone
        left = [one for one in tries.at.addresses if one not in tries.refusals and self.may_ask(zone, one)]
        avoid = self._answered_by.get(zone, "") if tries.asked.stream else ""
        return self.standing.in_order(zone, left, self._instant.now, avoid)[0] if left else None

    def _look_up(self, tries: "_Tries", server: Name, effort: Effort, path: tuple[Name, ...]) -> Steps[None]:
        """Find the addresses of one more server, or strike it out."""
        found: tuple[str, ...] = ()
        for rdtype in (records.A, records.AAAA):
            reply = yield from self._resolve(Asked(server, rdtype), effort, path)
            found += addresses_in(reply, server, rdtype, self._config.port)
            if found:
                break
        tries.lookups += 1
        servers = {name: known for name, known in tries.at.servers.items() if name != server}
        if found:
            servers[server] = found
        else:
            tries.nameless.append(server)
        tries.at = replace(tries.at, servers=servers)
        self.delegations.keep(tries.at)

    def _ask_server(self, address: str, zone: Name, asked: Asked) -> Steps[Reading]:
        """Ask one server once; who asks it the same meanwhile gets the same reply."""
        question = Question(
            self._config.vantage, asked.name, asked.rdtype, stream=asked.stream, attempts=1, server=address
        )
        reply: Reply = yield from share(question, lambda: pose(question))
        now = self._instant.now
        self.standing.learn(address, reply, now)
        reading = read_reply(reply, zone, asked.name, asked.rdtype)
        if not isinstance(reading, Refusal):
            self._answered_by[zone] = address
            if len(self._answered_by) > MOST_ZONES:
                del self._answered_by[next(iter(self._answered_by))]
        elif not reading.silent:
            self.standing.note_lame(zone, address, now)
        return reading


def addresses_in(reply: Reply, server: Name, rdtype: int, port: int) -> tuple[str, ...]:
    """Return the addresses of a server that an answer has; an alias is none (RFC 2181 §10.3)."""
    if not isinstance(reply, Response):
        return ()
    rrset = reply.answer.get((server, rdtype))
    rdatas = rrset.rdatas[:MOST_ADDRESSES] if rrset is not None else ()
    return tuple(address_of(rdtype, rdata, port) for rdata in rdatas)


def _next_depth(shown: int, whole: int, minimised: int) -> int:
    """Return how many labels to show next. Source: RFC 9156 §2.3 (step 3)."""
    if minimised < LABEL_BY_LABEL:
        return min(shown + 1, whole)
    left = MOST_MINIMISED - minimised
    return whole if left <= 0 else min(shown + max((whole - shown) // left, 1), whole)


def _failure_of(tries: "_Tries", barred: list[str]) -> FetchFailure:
    """Return why the servers of a zone gave no answer; ``barred`` are addresses that may not be asked."""
    complaints = [
        why.detail if why.detail.startswith("udp://") else f"{address}: {why.detail}"
        for address, why in sorted(tries.refusals.items())
    ]
    complaints += [f"{address} is no public address" for address in barred]
    complaints += [f"{names.to_text(server)} has no address" for server in tries.nameless]
    if not complaints:
        complaints = ["none has an address"]
    if tries.is_silent:
        return _failed("timeout", tries.at.zone, tries.asked, complaints)
    rcode = next((why.rcode for why in tries.refusals.values() if why.rcode is not None), None)
    return _failed("rcode" if rcode is not None else "lame", tries.at.zone, tries.asked, complaints, rcode)


def _failed(kind: str, zone: Name, asked: Asked, complaints: list[str], rcode: int | None = None) -> FetchFailure:
    more = len(complaints) - MOST_COMPLAINTS
    told = "; ".join(complaints[:MOST_COMPLAINTS]) + (f"; and {more} more" if more > 0 else "")
    detail = f"no server of {names.to_text(zone)} answers {asked}: {told}"
    return FetchFailure(kind, detail, rcode, walk=kind != "timeout", servers_of=zone)
