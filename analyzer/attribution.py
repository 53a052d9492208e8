"""Whether a fault of one owner name is told by itself or as the zone's. Pure.

A fault of one name explains nothing but itself, so it has a finding of its own: else a name that is odd for good would
take in the forgery of another one. Where many names of a zone show the same fault, the zone has it, and one finding
tells so.
"""

from collections.abc import Collection
from dataclasses import replace

from analyzer.conditions import Condition
from schemas.cause import owner_of, vantage_of

Key = tuple[str, str, str]
NAMES_TOLD_APART = 3


class NamesApart:
    """For each code and zone (or vantage) the owner names that have an open finding of their own."""

    def __init__(self) -> None:
        self._open: dict[Key, set[str]] = {}

    def place(self, condition: Condition, shown: Collection[Key]) -> Condition:
        """Return the condition as it is to be told; ``shown`` are the findings open at the same subject.

        A subject stays with the finding that it is in.
        """
        owner = owner_of(condition.cause_rrset)
        if not owner or condition.key in shown:
            return condition
        whole = whole_of(condition.key)
        known = self._open.get(whole, set())
        if whole not in shown and (owner in known or len(known) < NAMES_TOLD_APART):
            return condition
        return replace(condition, cause_rrset=whole[2])

    def opened(self, key: Key) -> None:
        """Note a finding that is open from now on."""
        if owner := owner_of(key[2]):
            self._open.setdefault(whole_of(key), set()).add(owner)

    def closed(self, key: Key) -> None:
        """Note a finding that is open no more."""
        whole = whole_of(key)
        known = self._open.get(whole, set())
        known.discard(owner_of(key[2]))
        if not known:
            self._open.pop(whole, None)


def whole_of(key: Key) -> Key:
    """Return the key of the finding about the zone or the vantage as a whole."""
    return key[0], key[1], vantage_of(key[2])
