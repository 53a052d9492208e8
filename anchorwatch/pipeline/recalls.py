"""Which subjects the collectors are asked to observe anew, and when again. Pure: time comes in."""

from collections.abc import Callable, Mapping

from schemas.messages import Subject

GRACE_S = 3.0
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0
MOST_AT_ONCE = 1_000
REASON = "polls speak of an observation that never arrived"


class Recalls:
    """A subject is asked for soon, and while that does not help at growing distances.

    Soon, not at once: a poll may overtake the observation that it speaks of, since they are on topics of their own.
    """

    def __init__(self) -> None:
        self._missing: dict[Subject, tuple[str, float]] = {}
        self._asked: dict[Subject, tuple[float, float]] = {}

    def due(
        self, unknown: Mapping[Subject, str], now: float, last_of: Callable[[Subject], str | None]
    ) -> tuple[Subject, ...]:
        """Return which subjects to ask for now.

        ``unknown`` are those whose polls spoke of an observation that had not arrived, and its id; ``last_of`` returns
        a subject's last observation; ``now`` is in seconds of any clock that only goes forward.
        """
        self._asked = {one: asked for one, asked in self._asked.items() if now - asked[0] < LONGEST_PAUSE_S}
        for subject, observation in unknown.items():
            self._missing.setdefault(subject, (observation, now))
        found: list[Subject] = []
        for subject, (observation, since) in list(self._missing.items()):
            if now - since < GRACE_S or len(found) == MOST_AT_ONCE:
                continue
            del self._missing[subject]
            next_at, pause_s = self._asked.get(subject, (now, FIRST_PAUSE_S))
            if now < next_at or last_of(subject) == observation:
                continue
            found.append(subject)
            self._asked[subject] = now + pause_s, min(pause_s * 2, LONGEST_PAUSE_S)
        return tuple(sorted(found))
