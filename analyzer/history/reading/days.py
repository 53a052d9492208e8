"""What changed, and when: verdicts over time, the changes of a day, and how many there were on each of many days."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from analyzer.history.reading.asking import VERDICTS, Page, Read, read_page, to_us
from analyzer.history.reading.checks import CONSUMED, WATCHED

# Each change with what was before it; of the first of a check that is nothing.
STEPS = """
    SELECT observed_at, name, type, vantage, verdict, cause_zone, before, answers != answers_before AS of_answers, key
    FROM (
        SELECT observed_at, name, type, vantage, verdict, cause_zone, answers, key,
               lagInFrame(toString(verdict), 1, '') OVER w AS before,
               lagInFrame(answers, 1, answers) OVER w AS answers_before
        FROM changes
        WHERE toUnixTimestamp64Micro(observed_at) <= %(until)s AND key IN (
            SELECT key FROM changes
            WHERE toUnixTimestamp64Micro(observed_at) BETWEEN %(since)s AND %(until)s)
        WINDOW w AS (PARTITION BY key ORDER BY observed_at
                     ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ) WHERE toUnixTimestamp64Micro(observed_at) >= %(since)s
"""


class ChangeRow(msgspec.Struct, frozen=True):
    """One change of a check; ``before`` is empty for its first sight, ``of_answers``: its data changed."""

    observed_at: datetime
    name: str
    type: str
    vantage: str
    verdict: str
    cause_zone: str
    before: str
    of_answers: bool


class Slot(msgspec.Struct, frozen=True):
    """How many checks had each verdict at the end of a span of time, in the order of ``VERDICTS``."""

    ends_at: datetime
    counts: tuple[int, ...]


class DayRow(msgspec.Struct, frozen=True):
    """What one day brought: checks that became weaker, stronger, new data, first sights; findings opened and closed."""

    day: datetime
    weaker: int = 0
    stronger: int = 0
    data: int = 0
    first: int = 0
    opened: int = 0
    closed: int = 0


class Days:
    """Asks for changes."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def page(self, since: datetime, until: datetime, kind: str, number: int, size: int) -> Page[ChangeRow]:
        """Return one page of the changes between two instants, newest first; ``kind`` is one of ``KINDS``."""
        sql = f"""
            SELECT observed_at, name, type, vantage, verdict, cause_zone, before, of_answers
            FROM ({STEPS}) WHERE {KINDS[kind]}
        """
        parameters = {"since": to_us(since), "until": to_us(until)}
        order = "observed_at DESC, name, type, vantage"
        return read_page(self._read, sql, order, parameters, ChangeRow, number, size)

    def counts(self, since: datetime, until: datetime) -> dict[str, int]:
        """Return how many changes of each of ``KINDS`` there were between two instants."""
        kinds = [kind for kind in KINDS if kind]
        columns = ", ".join(f"countIf({KINDS[kind]})" for kind in kinds)
        (found,) = self._read(f"SELECT {columns} FROM ({STEPS})", {"since": to_us(since), "until": to_us(until)})
        return dict(zip(kinds, map(int, found), strict=True))

    def by_day(self, since: datetime, until: datetime) -> list[DayRow]:
        """Return each day with what it brought, newest first; days without anything are left out."""
        kinds = ("weaker", "stronger", "data", "first")
        columns = ", ".join(f"countIf({KINDS[kind]})" for kind in kinds)
        parameters = {"since": to_us(since), "until": to_us(until)}
        sql = f"SELECT toStartOfDay(observed_at) AS day, {columns} FROM ({STEPS}) GROUP BY day"
        days = {row[0]: DayRow(*row) for row in self._read(sql, parameters)}
        sql = """
            SELECT toStartOfDay(opened), 0, count() FROM (SELECT min(opened_at) AS opened FROM findings GROUP BY id)
            WHERE toUnixTimestamp64Micro(opened) BETWEEN %(since)s AND %(until)s GROUP BY 1
            UNION ALL
            SELECT toStartOfDay(at), 1, count() FROM (
                SELECT max(updated_at) AS at FROM findings GROUP BY id HAVING argMax(status, version) = 'closed'
            ) WHERE toUnixTimestamp64Micro(at) BETWEEN %(since)s AND %(until)s GROUP BY 1
        """
        for day, is_end, count in self._read(sql, parameters):
            row = days.get(day, DayRow(day))
            days[day] = msgspec.structs.replace(row, **{"closed" if is_end else "opened": count})
        return [days[day] for day in sorted(days, reverse=True)]

    def verdicts(self, counts: tuple[int, ...], since: datetime, until: datetime, step: timedelta) -> list[Slot]:
        """Return the counts of verdicts at the end of each step between two instants, oldest first.

        Reckoned backwards from ``counts``, which are those of now, in the order of ``VERDICTS``: what is not watched
        any more is left out. What comes in after they were counted may be off for a moment, never below nothing.
        """
        now = list(counts)
        sql = f"""
            SELECT intDiv(toUnixTimestamp64Micro(observed_at) - %(since)s, {step // timedelta(microseconds=1)}) AS slot,
                   before, toString(verdict), count() FROM ({STEPS})
            WHERE before != verdict AND key IN (SELECT key FROM ({WATCHED})) AND name IN ({CONSUMED})
            GROUP BY 1, 2, 3 ORDER BY 1 DESC
        """
        parameters = {"since": to_us(since), "until": 2**62}
        moves = self._read(sql, parameters)
        last = -(-(until - since) // step) - 1
        slots: list[Slot] = []
        place = 0
        for slot in range(max(last, 0), -1, -1):
            while place < len(moves) and moves[place][0] > slot:
                _undo(now, moves[place])
                place += 1
            slots.append(Slot(min(since + step * (slot + 1), until), tuple(max(count, 0) for count in now)))
        return slots[::-1]


KINDS = {
    "": "before != toString(verdict) OR of_answers",
    "weaker": f"before != '' AND indexOf({list(VERDICTS)}, verdict) > indexOf({list(VERDICTS)}, before)",
    "stronger": f"before != '' AND indexOf({list(VERDICTS)}, verdict) < indexOf({list(VERDICTS)}, before)",
    "data": "before != '' AND of_answers",
    "first": "before = ''",
}
"""What a change may be, each as a condition on ``STEPS``."""


def _undo(counts: list[int], move: Sequence[object]) -> None:
    """Take back what a move did: (slot, verdict before or nothing, verdict after, how many)."""
    _, before, after, many = move
    assert isinstance(many, int)
    counts[VERDICTS.index(str(after))] -= many
    if before:
        counts[VERDICTS.index(str(before))] += many
