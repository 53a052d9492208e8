"""Silences and maintenance windows: whose, from when until when, and which findings they cover. Pure.

They withhold pages and nothing else: findings are taken in, incidents begin and end, and every receiver that was told
of one is told of its end. What they withhold goes out once they end, while it is still the case.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from alerts.decision.incidents import Entry, Silenced
from alerts.decision.matchers import BadMatcher, Matcher, MatcherSet, parse_matchers
from alerts.decision.schedule import Weekly
from alerts.decision.timekeeping import Moment
from schemas.messages import Act
from schemas.wire import digest_of

LONGEST = timedelta(days=30)
FARTHEST_AHEAD = timedelta(days=366)
MOST = 1_000
LONGEST_WHO, LONGEST_WHY = 100, 500
MAINTENANCE = "maintenance "
"""How the ids of maintenance windows begin."""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody silenced, and who ended it before its time; ``id`` is that of the act."""

    id: str
    matchers: tuple[Matcher, ...]
    begins_at: datetime
    ends_at: datetime
    by: str
    why: str
    made_at: datetime
    source: str = ""
    expired_at: datetime | None = None
    expired_by: str = ""
    expired_because: str = ""

    def state_at(self, now: datetime) -> str:
        """Return pending, active or expired."""
        if self.expired_at is not None or now >= self.ends_at:
            return "expired"
        return "active" if now >= self.begins_at else "pending"


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """A silence of the configuration that comes again on a schedule."""

    name: str
    matchers: tuple[Matcher, ...]
    schedule: Weekly
    why: str = ""

    @property
    def id(self) -> str:
        """Return what names it among silences."""
        return MAINTENANCE + self.name


def silence_of(act: Act) -> Silence:
    """Return the silence that an act makes.

    Raises:
        BadMatcher: its matchers are none, or its window can't be; a sentence for people.
    """
    begins_at, ends_at = act.begins_at, act.ends_at
    if begins_at is None or ends_at is None or ends_at <= begins_at:
        raise BadMatcher("to: it must be later than from")
    if ends_at - begins_at > LONGEST:
        raise BadMatcher(f"to: a silence lasts at most {LONGEST.days} days")
    if begins_at - act.at > FARTHEST_AHEAD:
        raise BadMatcher(f"from: at most {FARTHEST_AHEAD.days} days ahead")
    if ends_at <= act.at:
        raise BadMatcher("to: it is over already")
    if not act.by or len(act.by) > LONGEST_WHO or not act.by.isprintable():
        raise BadMatcher(f"who: 1 to {LONGEST_WHO} printable signs are expected")
    if not act.why or len(act.why) > LONGEST_WHY or not act.why.isprintable():
        raise BadMatcher(f"why: 1 to {LONGEST_WHY} printable signs are expected")
    return Silence(
        id=act.id,
        matchers=parse_matchers(act.matchers),
        begins_at=begins_at,
        ends_at=ends_at,
        by=act.by,
        why=act.why,
        made_at=act.at,
        source=act.source,
    )


def make_silence(
    matchers: Sequence[str], begins_at: datetime, ends_at: datetime, *, by: str, why: str, at: datetime, source: str
) -> Act:
    """Return the act that silences; the same twice is one."""
    words = (by, why, begins_at.isoformat(), ends_at.isoformat(), *matchers)
    return Act(
        id=digest_of("silence", *words)[:32],
        kind="silence",
        by=by,
        at=at,
        why=why,
        matchers=tuple(matchers),
        begins_at=begins_at,
        ends_at=ends_at,
        source=source,
    )


class Silences:
    """State: the silences that are not over, and which of them count now.

    ``changed`` holds those that began or ended to count since ``turn`` was last called.
    """

    def __init__(self, maintenance: Iterable[Maintenance] = ()) -> None:
        self._maintenance = {one.id: (one, MatcherSet(one.matchers)) for one in maintenance}
        self._silences: dict[str, tuple[Silence, MatcherSet]] = {}
        self._active: dict[str, tuple[Silenced, MatcherSet]] = {}

    def load(self, silences: Iterable[Silence]) -> None:
        """Take up what the ledger has."""
        for silence in silences:
            self._put(silence)

    def take(self, act: Act) -> tuple[Silence | None, str]:
        """Take in an act; return the silence as it is now, or None and why the act has no effect."""
        if act.kind == "silence":
            if len(self._silences) >= MOST:
                return None, f"there are {MOST} silences already: expire some of them"
            try:
                silence = silence_of(act)
            except BadMatcher as error:
                return None, str(error)
            self._put(silence)
            return silence, ""
        known = self._silences.get(act.subject)
        if known is None:
            return None, "there is no such silence, or it is over"
        silence = msgspec.structs.replace(known[0], expired_at=act.at, expired_by=act.by, expired_because=act.why)
        del self._silences[act.subject]
        return silence, ""

    def _put(self, silence: Silence) -> None:
        if silence.expired_at is None:
            self._silences[silence.id] = (silence, MatcherSet(silence.matchers))

    def turn(self, at: Moment) -> bool:
        """Let time pass; return whether another set of silences counts now.

        A window is over by either clock: one that is set back must not prolong a silence.
        """
        for key, (silence, _) in list(self._silences.items()):
            if max(at.wall, at.steady) >= silence.ends_at:
                del self._silences[key]
        active: dict[str, tuple[Silenced, MatcherSet]] = {}
        for key, (silence, matchers) in self._silences.items():
            if silence.begins_at <= at.wall:
                text = Silenced(id=key, by=silence.by, why=silence.why, until=silence.ends_at)
                active[key] = (text, matchers)
        for key, (one, matchers) in self._maintenance.items():
            if (window := one.schedule.window_at(at.wall)) is not None and at.steady < window[1]:
                active[key] = (Silenced(id=key, by=key, why=one.why, until=window[1]), matchers)
        is_other = {key: text for key, (text, _) in active.items()} != {
            key: text for key, (text, _) in self._active.items()
        }
        self._active = active
        return is_other

    def next_change_at(self, at: Moment) -> datetime | None:
        """Return the steady time at which another set may count next, None: never."""
        instants = [
            instant
            for silence, _ in self._silences.values()
            for instant in (silence.begins_at, silence.ends_at)
            if instant > at.wall
        ]
        instants += [one.schedule.next_change_at(at.wall) for one, _ in self._maintenance.values()]
        return at.steady + (min(instants) - at.wall) if instants else None

    def find(self, entry: Entry) -> Silenced | None:
        """Return what silences a finding now: of several that which lasts longest; None where nothing does."""
        found = [text for text, matchers in self._active.values() if matchers.covers(entry.finding, entry.severity)]
        return max(found, key=lambda text: (text.until, text.id), default=None)
