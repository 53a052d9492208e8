"""Whether a fault of one owner name is told by itself or as the zone's. Pure.

A fault of one name explains nothing but itself, so it has a finding of its own: else a name that is odd for good would
take in the forgery of another one. Where many names of a zone show the same fault, the zone has it, and one finding
tells so. What a vantage does to names of several zones is told apart for each of the first zones, too.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from analyzer.detected import Condition
from schemas.cause import owner_of, vantage_of

CauseKey = tuple[str, str, str]
NAMES_TOLD_APART = 3
ZONES_TOLD_APART = 10


class NamesApart:
    """For each code and zone (or vantage) the owner names that have an open finding of their own, by their parents."""

    def __init__(self) -> None:
        self._open: dict[CauseKey, dict[str, set[str]]] = {}

    def place(
        self,
        condition: Condition,
        shown: Collection[CauseKey],
        owners_within: Callable[[CauseKey], Iterable[str]] = lambda whole: (),
    ) -> Condition:
        """Return the condition as it is to be told; ``shown`` are the findings open at the same subject.

        ``owners_within`` yields the owner names that an open finding of the whole tells of: they take the room of
        names told apart, so that what healed for a moment makes none in a fault of hundreds of names. A subject stays
        with the finding that it is in.
        """
        owner = owner_of(condition.cause_rrset)
        if not owner or condition.key in shown:
            return condition
        whole = whole_of(condition.key)
        known = self._open.get(whole, {})
        parent = _parent_of(owner, whole)
        siblings = known.get(parent, set())
        has_room = len(siblings) < NAMES_TOLD_APART and (siblings or len(known) < ZONES_TOLD_APART)
        if has_room and owner not in siblings:
            within = (one for one in owners_within(whole) if _parent_of(one, whole) == parent)
            has_room = len(siblings) + _distinct(within, NAMES_TOLD_APART) < NAMES_TOLD_APART
        if whole not in shown and (owner in siblings or has_room):
            return condition
        return replace(condition, cause_rrset=whole[2], owner=owner)

    def opened(self, key: CauseKey) -> None:
        """Note a finding that is open from now on."""
        if owner := owner_of(key[2]):
            whole = whole_of(key)
            self._open.setdefault(whole, {}).setdefault(_parent_of(owner, whole), set()).add(owner)

    def closed(self, key: CauseKey) -> None:
        """Note a finding that is open no more."""
        whole, owner = whole_of(key), owner_of(key[2])
        known = self._open.get(whole, {})
        parent = _parent_of(owner, whole)
        known.get(parent, set()).discard(owner)
        if not known.get(parent):
            known.pop(parent, None)
        if not known:
            self._open.pop(whole, None)


def _distinct(names: Iterable[str], most: int) -> int:
    """Return how many different names there are, counted up to ``most``."""
    found: set[str] = set()
    for name in names:
        found.add(name)
        if len(found) >= most:
            break
    return len(found)


def _parent_of(owner: str, whole: CauseKey) -> str:
    """Return what tells names apart within a finding: of a vantage the name above, of a zone nothing."""
    return "" if whole[1] else owner.partition(".")[2]


def whole_of(key: CauseKey) -> CauseKey:
    """Return the key of the finding about the zone or the vantage as a whole."""
    return key[0], key[1], vantage_of(key[2])
