"""All sweeps of one collector: which zones there are, which are due, and what each sweep said. Pure, by steps."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from collector.authorities.rounds import Rounds
from collector.authorities.sweep import Sweeper, content_of
from collector.authorities.walk import Asked, Walker
from collector.config import Authorities
from collector.dnssec import names
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.policy import Policy
from collector.resolvers.dialogue import Instant, Steps
from schemas.judgement import Judgement, Verdict
from schemas.messages import ZoneSweep

BROKEN = (Verdict.BOGUS, Verdict.INDETERMINATE)
MOST_ZONES = 64
"""Zones of one name that are remembered while its chain is broken."""


class Trail(NamedTuple):
    """What is swept for the sake of one watched name: the zones that it leads through, and ``home``, where it lies."""

    zones: tuple[str, ...] = ()
    home: str = ""


NOWHERE = Trail()


class Sweeps:
    """Sweeps the zones that the watched names lead through, each once, however many names and vantages do."""

    def __init__(self, config: Authorities, anchors: TrustAnchors, policy: Policy, instant: Instant) -> None:
        self._instant = instant
        self._walker = Walker(config, instant)
        self._sweeper = Sweeper(config, self._walker, anchors, policy, instant)
        self._rounds = Rounds(config.sweep_s, config.alarm_s)
        self.walk = self._walker.walk

    def follow(self, asked: Asked, before: Trail, judgement: Judgement, turned: str) -> Trail:
        """Have the zones swept that a judged name leads through, one at once: that which has just ``turned``, if any.

        Return where the name leads now; ``before`` is where it led.
        """
        after = trail_of(judgement, before)
        self._move(asked, before, after)
        if turned:
            self._rounds.alarm(turned, self._instant.now, bad=judgement.verdict in BROKEN)
        return after

    def leave(self, asked: Asked, before: Trail) -> None:
        """Have nothing swept any more for the sake of a name."""
        self._move(asked, before, NOWHERE)

    def forget(self) -> None:
        """Forget what chains have taught: the clock was set."""
        self._sweeper.forget()

    def _move(self, asked: Asked, before: Trail, after: Trail) -> None:
        if before == after:
            return
        for zone in after.zones:
            self._rounds.hold(zone, self._instant.now)
        self._rounds.watch(after.home, asked)
        self._rounds.unwatch(before.home, asked)
        for zone in before.zones:
            self._rounds.release(zone)

    def trust(self, anchors: TrustAnchors) -> None:
        """Validate from these anchors from now on."""
        self._sweeper.trust(anchors)

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
            is_shown = self._rounds.finish(zone, told, self._instant.now)
        tell(sweep if is_shown else msgspec.structs.replace(sweep, evidence=None))


def trail_of(judgement: Judgement, before: Trail) -> Trail:
    """Return where a judged name leads: the zones of its chain, the one at fault, and the zone that it lies in.

    Where the chain is broken, the zones below are those that it led through ``before``. What lies in the root itself is
    not asked of its servers: that is what names look like that are served elsewhere.
    """
    zones = dict.fromkeys(link.zone for link in judgement.chain)
    if judgement.cause_zone:
        zones[judgement.cause_zone] = None
    home = judgement.links[0].zone if judgement.links else ""
    home = home if home != "." else ""
    if judgement.verdict in BROKEN and len(before.zones) <= MOST_ZONES:
        return Trail(tuple(dict.fromkeys((*zones, *before.zones))), before.home or home)
    return Trail(tuple(zones), home)
