"""What the collector has to hand on: observations and reports in their order, and the unchanged by vantage."""

from collector.dnssec import records
from collector.polling.memory import Memory
from schemas.codes import Code
from schemas.messages import Message, PollBatch, SelfReport, utc
from schemas.wire import digest_of

OF_VANTAGES = frozenset({Code.SELF_VANTAGE_LOST, Code.SPOOFING_SUSPECTED})
TOLD_AGAIN_S = 600.0
"""A trouble that lasts is told again so often, so that who does not tell it any more is known to be gone."""
MOST_ROWS = 2000
"""So many rows of the longest names are less than a broker takes by default in one message, a megabyte."""
Unchanged = tuple[Memory, str, float, tuple[int, int]]


class Outbox:
    """Gathers messages until they are taken; remembers of our own troubles what was said last, and when."""

    def __init__(self, by: str = "") -> None:
        """``by`` is what this collector reports its troubles as; empty where there is no other one."""
        self._by = by
        self._messages: list[Message] = []
        self._unchanged: dict[str, list[Unchanged]] = {}
        self._count = 0
        self._reported: dict[tuple[str, str], tuple[str, float]] = {}

    @property
    def news(self) -> int:
        """Return how much else than unchanged polls is to be handed on."""
        return len(self._messages)

    @property
    def unchanged(self) -> int:
        """Return how many unchanged polls are to be handed on."""
        return self._count

    def add(self, *messages: Message) -> None:
        """Hand a message on, in this order."""
        self._messages += messages

    def confirm(self, memory: Memory, at: float) -> None:
        """Hand on that a poll at ``at`` (POSIX seconds) said what was observed, as it is signed now."""
        rows = self._unchanged.get(memory.target.vantage)
        if rows is None:
            rows = self._unchanged[memory.target.vantage] = []
        rows.append((memory, memory.observation, at, memory.signed))
        self._count += 1

    def news_of(self, code: str, subject: str, detail: str, at: float) -> list[Message]:
        """Return a report of our own trouble, or that there is none (empty detail), if it says something new.

        After a start "none" is news: an earlier process may have left the trouble open.
        """
        if (known := self._reported.get((code, subject))) is not None and known[0] == detail:
            return []
        self._reported[code, subject] = detail, at
        return [SelfReport(code=code, subject=subject, at=utc(at), detail=detail, by=self._by)]

    def tell_again(self, at: float, *, of_vantages: bool) -> None:
        """Hand on again what is still wrong, where another collector may be there; ``at`` is in POSIX seconds.

        Of vantages only if this collector polls anything: else it does not know how they are.
        """
        for (code, subject), (detail, told_at) in self._reported.items() if self._by else ():
            if detail and abs(at - told_at) >= TOLD_AGAIN_S and (of_vantages or code not in OF_VANTAGES):
                self._reported[code, subject] = detail, at
                self._messages.append(SelfReport(code=code, subject=subject, at=utc(at), detail=detail, by=self._by))

    def make_news(self, code: str, subject: str) -> None:
        """Have a trouble, or that there is none, reported again at the next occasion."""
        self._reported.pop((code, subject), None)

    def take(self) -> list[Message]:
        """Return what has gathered: observations and reports in their order, then the unchanged by vantage."""
        messages, self._messages = self._messages, []
        unchanged, self._unchanged, self._count = self._unchanged, {}, 0
        return messages + [
            _poll_batch(vantage, rows[start : start + MOST_ROWS])
            for vantage, rows in unchanged.items()
            for start in range(0, len(rows), MOST_ROWS)
        ]


def _poll_batch(vantage: str, rows: list[Unchanged]) -> PollBatch:
    """Return the rows as columns. An observation was made of one subject once, so it and an instant name a row."""
    first, last = rows[0], rows[-1]
    names_of_it = (vantage, str(len(rows)), first[1], repr(first[2]), last[1], repr(last[2]))
    return PollBatch(
        id=digest_of(*names_of_it)[:32],
        vantage=vantage,
        names=tuple([row[0].host for row in rows]),
        types=tuple([records.type_to_text(row[0].target.rdtype) for row in rows]),
        observations=tuple([row[1] for row in rows]),
        polled_at=tuple([utc(row[2]) for row in rows]),
        inceptions=tuple([row[3][0] for row in rows]),
        expirations=tuple([row[3][1] for row in rows]),
    )
