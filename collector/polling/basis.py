"""What verdicts rest on besides their answers: the chain of zones, as one vantage shows it. Pure.

A chain is shown anew whenever its TTLs end. As long as it comes out the same, what was validated below it stands: one
endpoint is validated in full, and the others go on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from collector.dnssec.context import ChainNode
from collector.dnssec.judgement import ZoneFacts
from collector.dnssec.names import Name
from collector.dnssec.signatures import Signers
from collector.dnssec.validation import JudgedRRset, ValidationResult

Signings = tuple[tuple[str, Signers], ...]
NEVER = float("-inf")
MOST_SIGNINGS = 200_000


@dataclass(eq=False, slots=True, weakref_slot=True)
class Basis:
    """The chains that answers rest on, until ``fresh_until`` (POSIX seconds); ``renewals`` counts how often they were
    shown anew and came out the same."""

    content: tuple[object, ...] = ()
    fresh_until: float = NEVER
    renewals: int = 0


class Bases:
    """All that one vantage shows, by where each of the ways to an answer ends; kept while something rests on it.

    Two names of a zone rest on the same only where their ways end at one name: between the apex and a name further
    below, a cut may come up.
    """

    def __init__(self) -> None:
        self._by_ends: WeakValueDictionary[tuple[Name, ...], Basis] = WeakValueDictionary()
        self._signings: dict[Signings, Signings] = {}

    def see(self, result: ValidationResult) -> Basis:
        """Return what a validation rests on; where that is other than before, whatever rested on it is over."""
        ends = tuple(judged.node.name for judged in result.rrsets if judged.node is not None)
        content = tuple(map(_content_of, result.rrsets))
        until = min((_fresh_until(node) for judged in result.rrsets for node in _path_of(judged)), default=0)
        known = self._by_ends.get(ends)
        if known is not None and known.content == content:
            if until > known.fresh_until:
                known.fresh_until = until
                known.renewals += 1
            return known
        if known is not None:
            known.fresh_until = NEVER
        basis = self._by_ends[ends] = Basis(content, until)
        return basis

    def signings_of(self, zones: Iterable[ZoneFacts]) -> Signings:
        """Return how the data of an answer are signed; the same for all that are signed so."""
        signings = tuple((zone.link.zone, signers) for zone in zones for signers in zone.signings)
        if len(self._signings) >= MOST_SIGNINGS:
            self._signings.clear()
        return self._signings.setdefault(signings, signings)

    def forget(self) -> None:
        """Have everything validated anew."""
        for basis in self._by_ends.values():
            basis.fresh_until = NEVER
        self._by_ends.clear()


def stands_until(result: ValidationResult) -> float:
    """Return until when the answer's own signatures and proofs hold, POSIX seconds; infinite where it has none.

    Where the TTL may outlast a signature from an instant on, it stands until then, as long as that was not remarked.
    Nothing stands for which no zone was found.
    """
    if any(judged.node is None for judged in result.rrsets):
        return NEVER
    ends = [
        judged.own.expiration - (0 if judged.remarks else judged.original_ttl_s)
        for judged in result.rrsets
        if judged.own is not None
    ]
    return min(ends, default=float("inf"))


def _path_of(judged: JudgedRRset) -> Sequence[ChainNode]:
    return judged.node.path() if judged.node is not None else ()


def _fresh_until(node: ChainNode) -> int:
    return min(node.fresh_until, node.window.expiration) if node.window is not None else node.fresh_until


def _content_of(judged: JudgedRRset) -> tuple[object, ...]:
    """Return what of its chain decides about an RRset: how each zone came out, and the last one's keys.

    When anything was signed, and until when, is not part of it, nor by which keys the zones above are signed: what
    counts of them is that they prove the last one's keys.
    """
    path = _path_of(judged)
    zones = tuple((node.name, node.zone, node.verdict, _faults_of(node)) for node in path)
    if not path:
        return zones
    last = path[-1]
    return (*zones, last.keys, last.required_algorithms, last.sealed, last.absent)


def _faults_of(node: ChainNode) -> tuple[tuple[str, Name], ...]:
    return tuple((fault.code, fault.zone) for fault in (node.reason, *node.remarks) if fault is not None)
