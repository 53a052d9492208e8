"""All sweeps of one collector: which zones there are, which are due, and what each sweep said. Pure, by steps."""

from collections.abc import Callable, Iterable

import msgspec

from collector.authorities.rounds import Rounds
from collector.authorities.sweep import Sweeper, content_of
from collector.authorities.walk import Asked, Walker
from collector.config import Authorities
from collector.dnssec import names
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.policy import Policy
from collector.resolvers.dialogue import Instant, Steps
from schemas.messages import ZoneSweep


class Sweeps:
    """Sweeps the zones that the watched names lead through, each once, however many names and vantages do."""

    def __init__(self, config: Authorities, anchors: TrustAnchors, policy: Policy, instant: Instant) -> None:
        self._instant = instant
        self._walker = Walker(config, instant)
        self._sweeper = Sweeper(config, self._walker, anchors, policy, instant)
        self._rounds = Rounds(config.sweep_s, config.alarm_s)
        self.walk = self._walker.walk

    def enter(self, asked: Asked, zones: Iterable[str], home: str) -> None:
        """Note that a watched name leads through these zones, and lies in ``home``."""
        for zone in zones:
            self._rounds.hold(zone, self._instant.now)
        self._rounds.watch(home, asked)

    def leave(self, asked: Asked, zones: Iterable[str], home: str) -> None:
        """Take back what ``enter`` noted."""
        self._rounds.unwatch(home, asked)
        for zone in zones:
            self._rounds.release(zone)

    def alarm(self, zone: str, *, bad: bool) -> None:
        """Sweep a zone at once that has just turned: to bad, or back."""
        self._rounds.alarm(zone, self._instant.now, bad=bad)

    def due(self, tell: Callable[[ZoneSweep], None]) -> list[Steps[None]]:
        """Return the sweeps to begin now; each is told once it is over."""
        return [self._sweep(*one, tell) for one in self._rounds.take_due(self._instant.now)]

    def next_due_at(self) -> float:
        """Return when ``due`` has something to do again."""
        return self._rounds.next_due_at()

    def _sweep(self, zone: str, watched: list[Asked], alarm: bool, tell: Callable[[ZoneSweep], None]) -> Steps[None]:
        told = ""
        try:
            sweep = yield from self._sweeper.sweep(names.from_text(zone), watched, alarm=alarm)
            told = content_of(sweep)
        finally:
            is_new = self._rounds.finish(zone, told, self._instant.now)
        tell(sweep if is_new else msgspec.structs.replace(sweep, evidence=None))
