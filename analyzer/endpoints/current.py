"""What is the case at each subject now, and which subjects lie behind a zone."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, overload

from analyzer.detected import Condition
from analyzer.zones.expiry import Expiry
from schemas.catalogue import Confirmation, codes_where
from schemas.codes import Code
from schemas.judgement import VALIDATED, Judgement, Verdict
from schemas.messages import Subject

T = TypeVar("T")
Chain = tuple[str, ...]
CLAIMED = codes_where(lambda row: row.confirmed_by is Confirmation.CLAIM)
KNOWN_WHEN_INDETERMINATE = codes_where(lambda row: Verdict.INDETERMINATE not in row.unknown_when)
UNKNOWN_WHEN_BOGUS = codes_where(lambda row: Verdict.BOGUS in row.unknown_when)


@dataclass(slots=True)
class Current:
    """What is the case at one subject now; ``applied_at`` is its last poll, ``chain`` its zones, root first,
    and ``zones`` those that it lies behind: where the chain breaks, also those that it led
    through before; ``broken`` are the zones where it does, ``sound`` the last
    chain that came to a verdict.

    ``window`` is that signature's inception and expiration in POSIX seconds.
    ``live``: it was polled since this process started. ``claimed``, ``claimed_plain``: the resolver said what it tells
    clients that ask with DO=1, and without EDNS.
    ``absent``: the name or the type is proven absent. ``owner`` is the name that the data or their denial lie at, and
    ``denies`` are further types that the denial says are not there; caches keep it for ``ttl_s``.
    ``newest_at`` is the latest instant that any collector gave: clocks differ, so the order of arrival says what is
    the case, and instants only what came before.
    """

    applied_at: datetime
    newest_at: datetime
    observation: str
    verdict: Verdict
    cause_zone: str
    conditions: tuple[Condition, ...]
    expiry: Expiry | None
    renewed: Expiry | None
    signer: str
    evidence: str
    zones: Chain
    chain: Chain
    broken: Chain = ()
    sound: Chain = ()
    live: bool = False
    window: tuple[int, int] = (0, 0)
    claimed: bool = True
    claimed_plain: bool = True
    absent: bool = False
    owner: str = ""
    denies: tuple[str, ...] = ()
    ttl_s: int = 0

    @property
    def validated(self) -> bool:
        """Return whether the verdict may serve as a baseline."""
        return self.verdict in VALIDATED

    def says_of(self, key: tuple[str, str, str]) -> bool:
        """Return whether a poll that came to this can be evidence that a finding is over.

        Without a verdict only a failure to come to one can be over. Where the chain breaks at a zone, nothing was
        learnt of its names and of what lies below; what a resolver claims is known only where it was heard.
        """
        code, zone, _ = key
        if code in CLAIMED and not self.claimed:
            return False
        if code == Code.RESOLVER_DISAGREES and not self.claimed_plain:
            return False
        if self.verdict is Verdict.INDETERMINATE:
            return code in KNOWN_WHEN_INDETERMINATE
        if self.verdict is Verdict.BOGUS:
            return code not in UNKNOWN_WHEN_BOGUS and (not zone or self._has_seen(zone))
        return True

    def _has_seen(self, zone: str) -> bool:
        if self.broken:
            return zone in self.chain and zone not in self.broken
        return zone == self.cause_zone or zone in self.chain


def owner_of_data(judgement: Judgement) -> str:
    """Return the name that the data of a judgement, or their denial, lie at: the one asked for, or its last alias'."""
    owner = judgement.links[-1].name if judgement.links else judgement.name
    return judgement.name if owner == judgement.name else owner


def signer_of(judgement: Judgement) -> str:
    """Return the zone whose keys sign the answer."""
    zones = [link.zone for link in judgement.links if link.zone]
    return zones[-1] if zones else judgement.name


def zones_behind(name: str, chain: Chain, verdict: Verdict, earlier: Current | None) -> Chain:
    """Return the zones that a name lies behind: those of its chain, and where it breaks those that it led through.

    A chain that breaks above a zone says nothing of it: the name is still behind that zone. Of aliases only those of
    the last sound chain: a hostile one may lead elsewhere at every poll.
    """
    if earlier is None or verdict in VALIDATED:
        return chain
    held = {*earlier.sound, *ancestors_of(name)}
    return (*chain, *(zone for zone in earlier.zones if zone in held and zone not in chain))


def ancestors_of(name: str) -> Iterator[str]:
    """Yield a name and every name above it, the root last."""
    while name not in ("", "."):
        yield name
        name = name.partition(".")[2]
    yield "."


class CurrentState(Mapping[Subject, Current]):
    """All subjects, and for each chain of zones those that share it: a million names have few chains.

    A chain is known by its vantage and its zones. ``verdicts`` counts the subjects by verdict and vantage.
    """

    def __init__(self) -> None:
        self._polled_at: datetime | None = None
        self._by_subject: dict[Subject, Current] = {}
        self._by_chain: dict[tuple[str, Chain], set[Subject]] = {}
        self._through: dict[tuple[str, str], set[tuple[str, Chain]]] = {}
        self.verdicts: dict[tuple[str, ...], int] = {}

    def __getitem__(self, subject: Subject) -> Current:
        return self._by_subject[subject]

    @overload
    def get(self, subject: Subject, /) -> Current | None: ...
    @overload
    def get(self, subject: Subject, /, default: Current | T) -> Current | T: ...
    def get(self, subject: Subject, /, default: object = None) -> object:
        """Return what is the case at a subject; asked for each poll, so without the detour of a Mapping."""
        return self._by_subject.get(subject, default)

    def __iter__(self) -> Iterator[Subject]:
        return iter(self._by_subject)

    def __len__(self) -> int:
        return len(self._by_subject)

    def polled(self, current: Current, at: datetime) -> None:
        """Take in that a poll said that it is still the case."""
        current.applied_at = at
        if at > current.newest_at:
            current.newest_at = at
        if self._polled_at is None or at > self._polled_at:
            self._polled_at = at

    def take_polled_at(self) -> datetime | None:
        """Return the latest instant of all polls since the last call, None where there were none."""
        polled_at, self._polled_at = self._polled_at, None
        return polled_at

    def put(self, subject: Subject, current: Current) -> None:
        """Take in what is the case at a subject from now on."""
        if self._polled_at is None or current.applied_at > self._polled_at:
            self._polled_at = current.applied_at
        earlier = self._by_subject.get(subject)
        if earlier is not None and earlier.zones == current.zones:
            self._count(subject, earlier, -1)
        else:
            self.drop(subject)
            self._enter(subject, current.zones)
        self._by_subject[subject] = current
        self._count(subject, current, 1)

    def _enter(self, subject: Subject, zones: Chain) -> None:
        chain = (subject[2], zones)
        if chain not in self._by_chain:
            self._by_chain[chain] = set()
            for zone in zones:
                self._through.setdefault((zone, subject[2]), set()).add(chain)
        self._by_chain[chain].add(subject)

    def drop(self, subject: Subject) -> None:
        """Forget a subject, if it is there."""
        earlier = self._by_subject.pop(subject, None)
        if earlier is None:
            return
        self._count(subject, earlier, -1)
        chain = (subject[2], earlier.zones)
        self._by_chain[chain].discard(subject)
        if self._by_chain[chain]:
            return
        del self._by_chain[chain]
        for zone in earlier.zones:
            chains = self._through[zone, subject[2]]
            chains.discard(chain)
            if not chains:
                del self._through[zone, subject[2]]

    def _count(self, subject: Subject, current: Current, step: int) -> None:
        key = str(current.verdict), subject[2]
        self.verdicts[key] = self.verdicts.get(key, 0) + step

    def chains_behind(self, zone: str, vantage: str) -> Iterator[Set[Subject]]:
        """Yield of each chain that leads through a zone as a vantage sees it the subjects that share it."""
        for chain in self._through.get((zone, vantage), ()):
            yield self._by_chain[chain]

    def is_through(self, zone: str, vantage: str) -> bool:
        """Return whether the chain of some subject leads through a zone as a vantage sees it."""
        return (zone, vantage) in self._through
