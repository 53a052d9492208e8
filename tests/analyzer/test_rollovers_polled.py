"""Whole rollovers as a poll sees them: at the servers or through a cache, with polls lost and the collector restarted.

Each waits for just the TTL of what it replaces, or for half of it. The collector's own memory makes the messages.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from analyzer.zones.timeline import Timeline
from collector.dnssec.judgement import ZoneFacts
from collector.polling.zones import ZonesTold
from schemas.judgement import ChainLink, Verdict, ZoneKey
from schemas.messages import Evidence
from tests.support.making import AT, key

KSK, KSK2, ZSK, ZSK2 = key(1, entry=True), key(3, entry=True), key(2), key(4)
CSK, CSK2 = key(21, entry=True), key(23, entry=True)
OLD_KSK, OLD_ZSK = key(8, entry=True, algorithm=8), key(7, algorithm=8)
EVIDENCE = Evidence(digest="e", name="a.", type="A", at=AT, messages=(), trust_anchors=(), policy={})
Keys = Sequence[ZoneKey]
NEAR_S = 7200
PAGING = {"rollover_unsafe", "key_change_unexpected", "ds_changed", "secure_to_insecure", "algorithm_downgraded"}


@dataclass(frozen=True)
class State:
    """What the servers of a zone and of its parent say."""

    keys: Keys
    entries: Keys
    """Those that the DS set points at."""
    signers: Keys
    """Those that sign the data, together."""

    @property
    def ds(self) -> tuple[str, ...]:
        return tuple(sorted(f"{one.tag} {one.algorithm} 2 {one.digest}" for one in self.entries))


@dataclass
class Ttls:
    """Of the key set, of the DS set, and of data, in seconds."""

    keys: int
    ds: int
    data: int


Plan = list[tuple[State, Callable[[Ttls], int]]]
"""Each state, and for how long it must last before the next one."""


def zsk_prepublish() -> Plan:
    return [
        (State((KSK, ZSK), (KSK,), (ZSK,)), lambda ttl: 0),
        (State((KSK, ZSK, ZSK2), (KSK,), (ZSK,)), lambda ttl: ttl.keys),
        (State((KSK, ZSK, ZSK2), (KSK,), (ZSK2,)), lambda ttl: ttl.data),
        (State((KSK, ZSK2), (KSK,), (ZSK2,)), lambda ttl: 0),
    ]


def zsk_double_signature() -> Plan:
    return [
        (State((KSK, ZSK), (KSK,), (ZSK,)), lambda ttl: 0),
        (State((KSK, ZSK, ZSK2), (KSK,), (ZSK, ZSK2)), lambda ttl: max(ttl.keys, ttl.data)),
        (State((KSK, ZSK2), (KSK,), (ZSK2,)), lambda ttl: 0),
    ]


def ksk_double_key() -> Plan:
    return [
        (State((KSK, ZSK), (KSK,), (ZSK,)), lambda ttl: 0),
        (State((KSK, KSK2, ZSK), (KSK,), (ZSK,)), lambda ttl: ttl.keys),
        (State((KSK, KSK2, ZSK), (KSK2,), (ZSK,)), lambda ttl: ttl.ds),
        (State((KSK2, ZSK), (KSK2,), (ZSK,)), lambda ttl: 0),
    ]


def ksk_double_ds() -> Plan:
    return [
        (State((KSK, ZSK), (KSK,), (ZSK,)), lambda ttl: 0),
        (State((KSK, ZSK), (KSK, KSK2), (ZSK,)), lambda ttl: ttl.ds),
        (State((KSK2, ZSK), (KSK, KSK2), (ZSK,)), lambda ttl: ttl.keys),
        (State((KSK2, ZSK), (KSK2,), (ZSK,)), lambda ttl: 0),
    ]


def csk() -> Plan:
    both = (CSK, CSK2)
    return [
        (State((CSK,), (CSK,), (CSK,)), lambda ttl: 0),
        (State(both, (CSK,), both), lambda ttl: max(ttl.keys, ttl.data)),
        (State(both, (CSK2,), both), lambda ttl: ttl.ds),
        (State((CSK2,), (CSK2,), (CSK2,)), lambda ttl: 0),
    ]


def algorithm_conservative() -> Plan:
    old, both = (OLD_KSK, OLD_ZSK), (OLD_KSK, OLD_ZSK, KSK, ZSK)
    return [
        (State(old, (OLD_KSK,), (OLD_ZSK,)), lambda ttl: 0),
        (State(old, (OLD_KSK,), (OLD_ZSK, ZSK)), lambda ttl: ttl.data),
        (State(both, (OLD_KSK,), (OLD_ZSK, ZSK)), lambda ttl: ttl.keys),
        (State(both, (KSK,), (OLD_ZSK, ZSK)), lambda ttl: ttl.ds),
        (State((KSK, ZSK), (KSK,), (OLD_ZSK, ZSK)), lambda ttl: ttl.keys),
        (State((KSK, ZSK), (KSK,), (ZSK,)), lambda ttl: 0),
    ]


ROLLS = [zsk_prepublish, zsk_double_signature, ksk_double_key, ksk_double_ds, csk, algorithm_conservative]


@dataclass
class Polling:
    """A zone that changes by a plan, a cache before it or none, and a collector that polls it."""

    plan: Plan
    ttls: Ttls
    cached: bool
    share: float = 1.0
    """Of the time that each state must last."""
    pause_s: int = 0
    """How much longer each state lasts than it must."""
    told: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    _cache: dict[str, tuple[State, float]] = field(default_factory=dict)

    def run(self, every_s: int, *, seed: int, lost: float = 0.0, restarted: float = 0.0) -> "Polling":
        """Poll from two days before the first step to two days after the last; far from steps only every hour."""
        chance, timeline, memory = random.Random(seed), Timeline(), ZonesTold(86_400.0)
        steps, end_s = self._steps(chance)
        at_s = chance.uniform(0, every_s)
        while at_s < end_s:
            if chance.random() < restarted:
                memory = ZonesTold(86_400.0)
            if chance.random() >= lost:
                self._poll(timeline, memory, at_s, steps)
            is_near = any(abs(begins_s - at_s) < NEAR_S for begins_s, _ in steps)
            at_s += (every_s if is_near else 3600) * chance.uniform(0.95, 1.05)
        return self

    def _steps(self, chance: random.Random) -> tuple[list[tuple[float, State]], float]:
        begins_s, steps = 0.0, []
        for number, (state, lasts) in enumerate(self.plan):
            steps.append((begins_s, state))
            needed = lasts(self.ttls) * self.share + self.pause_s
            begins_s += needed if number else 172_800 + chance.uniform(0, 600)
        return steps, begins_s + 172_800

    def _seen(self, what: str, at_s: float, steps: list[tuple[float, State]]) -> tuple[State, float]:
        """Return what is seen of the key set, the DS set or data, and until when a cache keeps it."""
        known = self._cache.get(what)
        if not self.cached or known is None or known[1] <= at_s:
            now = [state for begins_s, state in steps if begins_s <= at_s][-1]
            known = self._cache[what] = now, at_s + getattr(self.ttls, what)
        return known

    def _poll(self, timeline: Timeline, memory: ZonesTold, at_s: float, steps: list[tuple[float, State]]) -> None:
        (keys, keys_until), (ds, ds_until) = self._seen("keys", at_s, steps), self._seen("ds", at_s, steps)
        data, data_until = self._seen("data", at_s, steps)
        began_s = AT.timestamp()
        present = {(one.tag, one.algorithm) for one in keys.keys}
        algorithms = {algorithm for _, algorithm in present}
        signers = tuple(sorted((one.tag, one.algorithm) for one in data.signers))
        holding = tuple(one for one in signers if one in present or one[1] not in algorithms)
        signing = tuple(one.tag for one in keys.keys if one.flags & 1)
        link = ChainLink("bank.example.", Verdict.SECURE, ds.ds, tuple(keys.keys), signing)
        is_whole = set(holding) & present and any(one.tag in signing for one in ds.entries)
        if not is_whole:  # what validation makes of it, at this vantage
            self.told.append("bogus")
            return
        facts = ZoneFacts(
            link,
            "example.",
            (),
            (),
            (),
            (b"",),
            key_ttl_s=self.ttls.keys,
            ds_ttl_s=self.ttls.ds,
            keys_until=int(began_s + keys_until),
            ds_until=int(began_s + ds_until),
            signings={holding: int(began_s + data_until)},
        )
        at = AT + timedelta(seconds=at_s)
        for message in memory.see([facts], EVIDENCE, "corp", at, at_s).news:
            if not timeline.adds_nothing(message):
                drifts = timeline.put(message).drifts
                self.told += [one.code for one in drifts]
                self.details += [one.detail for one in drifts if one.code in PAGING]


@pytest.mark.parametrize("cached", [False, True], ids=["servers", "cache"])
@pytest.mark.parametrize("ttl_s", [60, 300, 3600, 86_400])
@pytest.mark.parametrize("plan", ROLLS, ids=lambda plan: plan.__name__)
def test_a_rollover_that_waits_its_ttls_pages_nobody(plan: Callable[[], Plan], ttl_s: int, cached: bool) -> None:
    """Secure-entry keys that are all replaced between two polls look like a hostile replacement: each step is seen."""
    pause_s = 900 if plan not in (zsk_prepublish, zsk_double_signature) else 0
    mixes = (Ttls(ttl_s, ttl_s, ttl_s), Ttls(ttl_s, 86_400, 300), Ttls(3600, ttl_s, 60))
    for seed, ttls in enumerate(mixes * 2):
        polling = Polling(plan(), ttls, cached, pause_s=pause_s)
        polling.run(60 if seed % 2 else 300, seed=seed, lost=0.05, restarted=0.01)

        assert not PAGING & set(polling.told), (seed, ttls, polling.details)
        assert "bogus" not in polling.told
        assert "key_rollover" in polling.told


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (zsk_prepublish, "key"),
        (zsk_double_signature, "key"),
        (ksk_double_key, "DS"),
        (ksk_double_ds, "the key of DS 1"),
        (csk, "key"),
        (algorithm_conservative, "key"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
@pytest.mark.parametrize("every_s", [60, 300])
def test_a_rollover_that_waits_for_half_of_its_ttls_is_told_where_servers_are_asked(
    plan: Callable[[], Plan], why: str, every_s: int
) -> None:
    for seed in range(4):
        polling = Polling(plan(), Ttls(3600, 86_400, 7200), cached=False, share=0.5)
        polling.run(every_s, seed=seed, lost=0.05)

        assert "rollover_unsafe" in polling.told, seed
        assert any(why in detail for detail in polling.details)
