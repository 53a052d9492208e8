"""What the collector has to hand on: observations and reports in their order, and the unchanged by vantage."""

from collector.dnssec import records
from collector.polling.memory import Memory
from schemas.messages import Message, PollBatch, SelfReport, utc
from schemas.wire import digest_of

Unchanged = tuple[Memory, str, float, tuple[int, int]]


class Outbox:
    """Gathers messages until they are taken; remembers of our own troubles what was said last."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._unchanged: dict[str, list[Unchanged]] = {}
        self._count = 0
        self._reported: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._messages) + self._count

    @property
    def has_news(self) -> bool:
        """Return whether something else than unchanged polls is to be handed on."""
        return bool(self._messages)

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
        if self._reported.get((code, subject)) == detail:
            return []
        self._reported[code, subject] = detail
        return [SelfReport(code=code, subject=subject, at=utc(at), detail=detail)]

    def make_news(self, code: str, subject: str) -> None:
        """Have a trouble, or that there is none, reported again at the next occasion."""
        self._reported.pop((code, subject), None)

    def take(self) -> list[Message]:
        """Return what has gathered: observations and reports in their order, then the unchanged by vantage."""
        messages, self._messages = self._messages, []
        unchanged, self._unchanged, self._count = self._unchanged, {}, 0
        return messages + [_poll_batch(vantage, rows) for vantage, rows in unchanged.items()]


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
