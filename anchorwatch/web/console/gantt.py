"""Things over time as bars: keys, DS records and signatures of a zone; verdicts of a name; counts of many. Pure.

Lengths are in the units of a drawing's own frame; the page scales it.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analyzer.history.reading.asking import VERDICTS
from analyzer.history.reading.checks import Interval
from analyzer.history.reading.days import Slot
from anchorwatch.web.console.ages import say_instant
from anchorwatch.web.console.picture import ALGORITHMS, REVOKED, role_of, shorten
from schemas.judgement import ZoneKey
from schemas.messages import ZoneObservation

WIDTH, WIDE, LABEL, ROW = 900, 1400, 190, 20
MOST_ROWS = 40
TICKS = (
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=7),
    timedelta(days=30),
    timedelta(days=90),
    timedelta(days=365),
)
MOST_TICKS = 12


@dataclass(frozen=True)
class Span:
    """From when until when; ``title`` says it in full."""

    x: float
    width: float
    kind: str
    title: str


@dataclass
class GanttRow:
    """One thing, with the spans in which it was there."""

    y: int
    label: str
    title: str
    spans: list[Span] = field(default_factory=list)


@dataclass
class Gantt:
    """The whole drawing: rows below headings, and ticks of the time."""

    width: int
    height: int
    rows: list[GanttRow]
    headings: list[tuple[int, str]]
    ticks: list[tuple[float, str]]
    now: float | None = None


class Scale:
    """Where an instant stands between two others."""

    def __init__(self, since: datetime, until: datetime, width: int = WIDTH) -> None:
        self.since, self.until, self._width = since, until, width
        self._span = max((until - since).total_seconds(), 1.0)

    def x(self, at: datetime) -> float:
        """Return the place of an instant, at the edge of one outside."""
        share = (at - self.since).total_seconds() / self._span
        return round(LABEL + (self._width - LABEL) * min(max(share, 0.0), 1.0), 1)

    def span(self, begin: datetime, end: datetime, kind: str, title: str) -> Span | None:
        """Return the part of a span that lies inside, None where none does."""
        if end < self.since or begin > self.until:
            return None
        x1, x2 = self.x(begin), self.x(end)
        return Span(x1, max(x2 - x1, 2.0), kind, f"{title}, {say_instant(begin)} to {say_instant(end)} UTC")

    def ticks(self) -> list[tuple[float, str]]:
        """Return round instants with their places."""
        step = next((one for one in TICKS if self._span / one.total_seconds() <= MOST_TICKS), TICKS[-1])
        at = self.since.replace(hour=0, minute=0, second=0, microsecond=0)
        found = []
        while at <= self.until:
            if at >= self.since:
                found.append((self.x(at), f"{at:%H:%M}" if step < timedelta(days=1) and at.hour else f"{at:%d %b}"))
            at += step
        return found


def draw_zone(steps: Sequence[ZoneObservation], since: datetime, until: datetime, now: datetime) -> Gantt:
    """Return a zone's keys, DS records and signatures between two instants; ``steps`` are oldest first."""
    scale = Scale(since, until, WIDE)
    seen_until = min(now, until)
    sections = [
        ("DS at the parent", _held(steps, seen_until, lambda step: step.link.ds, _say_ds, "ds")),
        ("keys", _held(steps, seen_until, lambda step: step.link.keys, _say_key, "key", _kind_of_key)),
        ("signatures", _signatures(steps)),
    ]
    rows: list[GanttRow] = []
    headings: list[tuple[int, str]] = []
    y = 26
    for heading, found in sections:
        if not found:
            continue
        headings.append((y + 12, heading))
        y += ROW
        for label, title, spans in found[:MOST_ROWS]:
            row = GanttRow(y, shorten(label, 26), title)
            row.spans = [span for args in spans if (span := scale.span(*args)) is not None]
            if row.spans:
                rows.append(row)
                y += ROW
        y += 6
    return Gantt(WIDE, y + 4, rows, headings, scale.ticks(), scale.x(now) if since <= now <= until else None)


Piece = tuple[datetime, datetime, str, str]
Line = tuple[str, str, list[Piece]]


def _held(
    steps: Sequence[ZoneObservation],
    until: datetime,
    things: Callable[[ZoneObservation], Iterable[Hashable]],
    say: Callable[[Hashable], str],
    kind: str,
    kind_of: Callable[[Hashable, ZoneObservation], str] | None = None,
) -> list[Line]:
    """Return each thing with the spans in which it was seen: from one step that has it to the first that has not."""
    spans: dict[Hashable, list[tuple[datetime, datetime, str]]] = {}
    for place, step in enumerate(steps):
        end = steps[place + 1].observed_at if place + 1 < len(steps) else until
        for thing in things(step):
            how = kind_of(thing, step) if kind_of is not None else kind
            known = spans.setdefault(thing, [])
            if known and known[-1][1] == step.observed_at and known[-1][2] == how:
                known[-1] = (known[-1][0], end, how)
            else:
                known.append((step.observed_at, end, how))
    found: list[Line] = []
    for thing, pieces in spans.items():
        text = say(thing)
        found.append((text, text, [(begin, end, how, text) for begin, end, how in pieces]))
    return sorted(found, key=lambda line: (not line[0].startswith(("KSK", "DS")), line[2][0][0], line[0]))


def _say_ds(thing: Hashable) -> str:
    return f"DS {thing}"


def _say_key(thing: Hashable) -> str:
    assert isinstance(thing, ZoneKey)
    return f"{role_of(thing)} {thing.tag} {ALGORITHMS.get(thing.algorithm, thing.algorithm)}"


def _kind_of_key(thing: Hashable, step: ZoneObservation) -> str:
    assert isinstance(thing, ZoneKey)
    if thing.flags & REVOKED:
        return "lost"
    return "signer" if thing.tag in step.link.signed_by else "key"


def _signatures(steps: Sequence[ZoneObservation]) -> list[Line]:
    """Return over each RRset the signatures that were seen, from inception to expiration."""
    lines: dict[str, dict[tuple[datetime, datetime], None]] = {}
    for step in steps:
        for window in step.windows:
            lines.setdefault(window.rrset, {})[window.inception_at, window.expires_at] = None
    return [
        (
            f"over {rrset}",
            f"signatures over {rrset}",
            [(b, e, f"window n{n % 2}", rrset) for n, (b, e) in enumerate(all_of)],
        )
        for rrset, all_of in lines.items()
    ]


def draw_verdicts(intervals: Sequence[Interval], since: datetime, until: datetime) -> Gantt:
    """Return the verdicts of one name, a row for each type and vantage."""
    scale = Scale(since, until)
    lines: dict[str, list[Interval]] = {}
    for one in intervals:
        lines.setdefault(f"{one.type} {one.vantage}", []).append(one)
    rows, y = [], 26
    for label in sorted(lines)[:MOST_ROWS]:
        row = GanttRow(y, shorten(label, 26), label)
        for one in lines[label]:
            span = scale.span(
                one.first_seen_at, one.last_seen_at, one.verdict, f"{one.verdict} {', '.join(one.reasons)}"
            )
            if span is not None:
                row.spans.append(span)
        rows.append(row)
        y += ROW
    return Gantt(WIDTH, y + 4, rows, [], scale.ticks())


@dataclass(frozen=True)
class Column:
    """One span of time in a diagram of counts: a part for each verdict, the weakest at the bottom."""

    x: float
    width: float
    parts: Sequence[tuple[float, float, str]]
    title: str


def draw_counts(slots: Sequence[Slot], width: int, height: int) -> list[Column]:
    """Return a column for each slot; whatever there is at all of a verdict can be seen."""
    each = width / max(len(slots), 1)
    columns = []
    for place, slot in enumerate(slots):
        total = sum(slot.counts)
        parts, y = [], float(height)
        weakest_first = list(zip(VERDICTS, slot.counts, strict=True))[::-1]
        for verdict, count in weakest_first:
            if not count:
                continue
            size = max(height * count / total, 2.0)
            if verdict == "secure":
                size = max(y, 0.0)
            y = max(y - size, 0.0)
            parts.append((round(y, 1), round(size, 1), verdict))
        said = ", ".join(f"{count} {verdict}" for verdict, count in weakest_first if count) or "nothing watched"
        columns.append(
            Column(round(place * each, 2), round(each + 0.3, 2), parts, f"{say_instant(slot.ends_at)} UTC: {said}")
        )
    return columns
