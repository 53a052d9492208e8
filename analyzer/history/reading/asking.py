"""How a list is asked for: one page of it, what a row must hold, and as of when."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

Read = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]
"""Takes SQL and parameters, returns rows; may raise Transient."""
Row = TypeVar("Row")
Fields = TypeVar("Fields", bound=msgspec.Struct)

VERDICTS = ("secure", "insecure", "indeterminate", "bogus")
"""By weakness: SQL sorts by the place in this list."""
SEVERITIES = ("info", "low", "medium", "high", "critical")
LATELY = timedelta(days=1)
"""What was not polled for so long before the newest poll of all is watched no more."""
PER_PAGE = 50
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """Some rows of a list: ``total`` is how many there are, ``number`` counts from 1 and is at most ``last``."""

    rows: Sequence[Row]
    total: int
    number: int = 1
    size: int = PER_PAGE

    @property
    def last(self) -> int:
        """Return the number of the last page, 1 for an empty list."""
        return max(1, -(-self.total // self.size))

    @property
    def first_row(self) -> int:
        """Return the place in the list of the first row here, counted from 1; 0 where there is none."""
        return (self.number - 1) * self.size + 1 if self.rows else 0

    @property
    def last_row(self) -> int:
        """Return the place in the list of the last row here."""
        return self.first_row + len(self.rows) - 1 if self.rows else 0


def read_page(
    read: Read,
    sql: str,
    order: str,
    parameters: Mapping[str, Any],
    kind: type[Fields],
    number: int,
    size: int = PER_PAGE,
) -> Page[Fields]:
    """Return one page of what ``sql`` lists, in an order that tells any two rows apart; ``kind`` has its columns.

    A page behind the end is the last one: a list that became shorter leaves nobody on nothing.
    """
    listed = f"SELECT *, count() OVER () FROM ({sql}) ORDER BY {order}"
    rows = read(f"{listed} LIMIT {size:d} OFFSET {(number - 1) * size:d}", parameters)
    if not rows and number > 1:
        ((total,),) = read(f"SELECT count() FROM ({sql})", parameters)
        number = max(1, -(-total // size))
        rows = read(f"{listed} LIMIT {size:d} OFFSET {(number - 1) * size:d}", parameters)
    return Page([kind(*row[:-1]) for row in rows], rows[0][-1] if rows else 0, number, size)


def to_us(at: datetime) -> int:
    """Return an instant in microseconds, as the tables are compared with."""
    return int((at - EPOCH) / timedelta(microseconds=1))
