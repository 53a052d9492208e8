"""What the collector has to hand on: observations and reports in their order, and the unchanged by vantage."""

import msgspec

from collector.dnssec import names, records
from collector.polling.memory import PollTarget
from schemas.messages import Message, PollBatch, SelfReport, SignatureWindow, utc
from schemas.wire import digest_of, encode

Unchanged = tuple[PollTarget, str, float, SignatureWindow | None]


class Outbox:
    """Gathers messages until they are taken; remembers of our own troubles what was said last."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._unchanged: list[Unchanged] = []
        self._reported: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._messages) + len(self._unchanged)

    @property
    def has_news(self) -> bool:
        """Return whether something else than unchanged polls is to be handed on."""
        return bool(self._messages)

    def add(self, *messages: Message) -> None:
        """Hand a message on, in this order."""
        self._messages += messages

    def confirm(self, subject: PollTarget, observation: str, at: float, signed: SignatureWindow | None) -> None:
        """Hand on that a poll at ``at`` (POSIX seconds) said what the observation said, as signed now."""
        self._unchanged.append((subject, observation, at, signed))

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
        unchanged, self._unchanged = self._unchanged, []
        by_vantage: dict[str, list[Unchanged]] = {}
        for row in unchanged:
            by_vantage.setdefault(row[0].vantage, []).append(row)
        return messages + [_poll_batch(name, rows) for name, rows in by_vantage.items()]


def _poll_batch(vantage: str, rows: list[Unchanged]) -> PollBatch:
    subjects, observations, instants, windows = zip(*rows, strict=True)
    batch = PollBatch(
        id="",
        vantage=vantage,
        names=tuple([names.to_text(subject.name) for subject in subjects]),
        types=tuple([records.type_to_text(subject.rdtype) for subject in subjects]),
        observations=observations,
        polled_at=tuple([utc(at) for at in instants]),
        inceptions=tuple([int(one.inception_at.timestamp()) if one else 0 for one in windows]),
        expirations=tuple([int(one.expires_at.timestamp()) if one else 0 for one in windows]),
    )
    return msgspec.structs.replace(batch, id=digest_of(encode(batch))[:32])
