"""What is the case at each subject now, and which subjects lie behind a zone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from analyzer.endpoints.conditions import Condition
from analyzer.zones.expiry import Expiry
from schemas.catalogue import Confirmation, codes_where
from schemas.codes import Code
from schemas.judgement import Verdict
from schemas.messages import Subject

Chain = tuple[str, ...]
CLAIMED = codes_where(lambda row: row.confirmed_by is Confirmation.CLAIM)
KNOWN_WHEN_INDETERMINATE = codes_where(lambda row: Verdict.INDETERMINATE not in row.unknown_when)
UNKNOWN_WHEN_BOGUS = codes_where(lambda row: Verdict.BOGUS in row.unknown_when)


@dataclass(slots=True)
class Current:
    """What is the case at one subject now; ``applied_at`` is its last poll, ``zones`` are its chain's, root first.

    ``live``: it was polled since this process started. ``claimed``, ``claimed_plain``: the resolver said what it tells
    clients that ask with DO=1, and without EDNS.
    ``absent``: the name or the type is proven absent.
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
    evidence: str
    zones: Chain
    live: bool = False
    claimed: bool = True
    claimed_plain: bool = True
    absent: bool = False

    @property
    def validated(self) -> bool:
        """Return whether the verdict may serve as a baseline."""
        return self.verdict in (Verdict.SECURE, Verdict.INSECURE)

    def says_of(self, key: tuple[str, str, str]) -> bool:
        """Return whether a poll that came to this can be evidence that a finding is over.

        Without a verdict only a failure to come to one can be over. Where the chain breaks above a zone, nothing was
        learnt of what lies below; what a resolver claims is known only where it was heard.
        """
        code, zone, _ = key
        if code in CLAIMED and not self.claimed:
            return False
        if code == Code.RESOLVER_DISAGREES and not self.claimed_plain:
            return False
        if self.verdict is Verdict.INDETERMINATE:
            return code in KNOWN_WHEN_INDETERMINATE
        if self.verdict is Verdict.BOGUS:
            return code not in UNKNOWN_WHEN_BOGUS and (not zone or zone == self.cause_zone or zone in self.zones)
        return True


class CurrentState(Mapping[Subject, Current]):
    """All subjects, and for each chain of zones those that share it: a million names have few chains.

    ``verdicts`` counts the subjects by verdict and vantage.
    """

    def __init__(self) -> None:
        self._by_subject: dict[Subject, Current] = {}
        self._by_chain: dict[Chain, set[Subject]] = {}
        self._through: dict[str, set[Chain]] = {}
        self.verdicts: dict[tuple[str, ...], int] = {}

    def __getitem__(self, subject: Subject) -> Current:
        return self._by_subject[subject]

    def __iter__(self) -> Iterator[Subject]:
        return iter(self._by_subject)

    def __len__(self) -> int:
        return len(self._by_subject)

    def put(self, subject: Subject, current: Current) -> None:
        """Take in what is the case at a subject from now on."""
        self.drop(subject)
        self._by_subject[subject] = current
        self._count(subject, current, 1)
        if current.zones not in self._by_chain:
            self._by_chain[current.zones] = set()
            for zone in current.zones:
                self._through.setdefault(zone, set()).add(current.zones)
        self._by_chain[current.zones].add(subject)

    def drop(self, subject: Subject) -> None:
        """Forget a subject, if it is there."""
        earlier = self._by_subject.pop(subject, None)
        if earlier is None:
            return
        self._count(subject, earlier, -1)
        chain = earlier.zones
        self._by_chain[chain].discard(subject)
        if not self._by_chain[chain]:
            del self._by_chain[chain]
            for zone in chain:
                self._through[zone].discard(chain)
                if not self._through[zone]:
                    del self._through[zone]

    def _count(self, subject: Subject, current: Current, step: int) -> None:
        key = str(current.verdict), subject[2]
        self.verdicts[key] = self.verdicts.get(key, 0) + step

    def behind(self, zone: str) -> set[Subject]:
        """Return the subjects whose chain leads through a zone."""
        return set().union(*(self._by_chain[chain] for chain in self._through.get(zone, ())))
