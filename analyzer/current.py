"""What is the case at each subject now, and which subjects lie behind a zone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from analyzer.conditions import Condition
from analyzer.expiry import Expiry
from schemas.judgement import Verdict
from schemas.messages import Subject

Chain = tuple[str, ...]


@dataclass(slots=True)
class Current:
    """What is the case at one subject now; ``applied_at`` is its last poll, ``zones`` are its chain's, root first.

    ``live``: it was polled since this process started.
    """

    applied_at: datetime
    observation: str
    verdict: Verdict
    cause_zone: str
    conditions: tuple[Condition, ...]
    expiry: Expiry | None
    evidence: str
    zones: Chain
    live: bool = False

    @property
    def validated(self) -> bool:
        """Return whether the verdict may serve as a baseline."""
        return self.verdict in (Verdict.SECURE, Verdict.INSECURE)


class CurrentState(Mapping[Subject, Current]):
    """All subjects, and for each chain of zones those that share it: a million names have few chains."""

    def __init__(self) -> None:
        self._by_subject: dict[Subject, Current] = {}
        self._by_chain: dict[Chain, set[Subject]] = {}
        self._through: dict[str, set[Chain]] = {}

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
        chain = earlier.zones
        self._by_chain[chain].discard(subject)
        if not self._by_chain[chain]:
            del self._by_chain[chain]
            for zone in chain:
                self._through[zone].discard(chain)
                if not self._through[zone]:
                    del self._through[zone]

    def behind(self, zone: str) -> set[Subject]:
        """Return the subjects whose chain leads through a zone."""
        return set().union(*(self._by_chain[chain] for chain in self._through.get(zone, ())))
