"""Denials that deny what another answer for the same name proves, at one vantage. Pure.

A denial of one type lists all types that the name has. Resolvers answer further questions from that list by themselves
(RFC 8198), so data that it leaves out vanish for their clients, though every single answer validates.
"""

from collections.abc import Iterable
from datetime import timedelta

from analyzer.detected import Condition
from analyzer.endpoints.current import Current, CurrentState
from schemas.catalogue import CATALOGUE
from schemas.codes import Code
from schemas.judgement import Verdict
from schemas.messages import Subject

LONGEST_LAG = timedelta(hours=1)
"""A denial from before the data were there, and data from before they were withdrawn, stay in caches for their TTL."""


class Contradictions:
    """The denials that contradict data now, by the subject that was denied."""

    def __init__(self, current: CurrentState) -> None:
        self._current = current
        self._found: dict[Subject, Condition] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def of(self, subject: Subject) -> list[Condition]:
        """Return what the denial of a subject contradicts: nothing, or one condition."""
        found = self._found.get(subject)
        return [found] if found is not None else []

    def look(self, subject: Subject, types: Iterable[str]) -> None:
        """Compare the denials at a name, of all its types that are watched, with its data, as they are now."""
        name, _, vantage = subject
        for rdtype in types:
            of_denial = (name, rdtype, vantage)
            denial = self._current.get(of_denial)
            found = self._contradiction(of_denial, denial) if denial is not None and denial.denies else None
            if found is not None:
                self._found[of_denial] = found
            else:
                self._found.pop(of_denial, None)

    def _contradiction(self, subject: Subject, denial: Current) -> Condition | None:
        name, rdtype, vantage = subject
        for other in denial.denies:
            data = self._current.get((name, other, vantage))
            if data is None or data.verdict is not Verdict.SECURE or data.absent:
                continue
            is_alias = denial.owner == name != data.owner and "CNAME" in denial.denies
            if data.owner == denial.owner or is_alias:
                row, what = CATALOGUE[Code.DENIAL_CONTRADICTS_DATA], "CNAME" if is_alias else other
                zone = denial.signer
                detail = (
                    f"{zone} proves that {denial.owner} has no {rdtype}, by a record that says it has no {what}"
                    f" either; but its {what} is there and secure"
                )
                lag = min(timedelta(seconds=max(denial.ttl_s, data.ttl_s)), LONGEST_LAG)
                return Condition(row.code, zone, name, row.severity, detail, vantage, lag)
        return None
