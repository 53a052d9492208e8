"""How one zone rolls its keys over: at which step it is, what comes next and when at the earliest, and what is unsafe.

A rollover is safe while each way in which caches may combine what they hold with what is served now still validates:
the DS set of before with the keys of now, the keys of before with the DS set of now, data that are signed as before. So
what was replaced is kept here until no cache holds it any more. Every live check may be green meanwhile.

Source: RFC 7583 §3 (timing), RFC 6781 §4.1 (kinds), RFC 5011 §2.4.1 (hold-down at an anchored zone), RFC 8901 §4
(several signers).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from analyzer.detected import Drift, drift_of
from analyzer.wording import to_next_minute
from analyzer.zones.keychange import (
    REVOKE,
    SEP,
    Signers,
    classify_key_change,
    describe_key,
    describe_keys,
    entry_keys,
    id_of_ds,
    touches_entry,
)
from analyzer.zones.unseen import HOLD_DOWN
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import VALIDATED, ChainLink, Verdict, ZoneKey
from schemas.messages import ZoneObservation

ROLLOVERS_TAKE = timedelta(days=60)
"""What a zone showed longer ago belongs to no rollover that is under way."""
TAG_KEPT = timedelta(days=7)
"""A key that went is remembered by caches, through its signatures, for so long at most. Source: RFC 8767 §4."""
VALIDATION_TAKES = timedelta(minutes=1)
"""Data with a TTL of seconds, or of 0, have run out when the zone is told of that was seen with them."""
SAME_AGAIN_WITHIN = timedelta(days=1)
"""Servers with different key sets answer in turn, as those of several signers do: what was there lately is no step."""
MOST_HELD = 32
MOST_KEYS_KNOWN = 256


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """A key set that caches may hold until an instant."""

    keys: tuple[ZoneKey, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class HeldDS:
    """A DS set that caches may hold until an instant."""

    ds: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """What a rollover still owes, and when it is safe at the earliest; None: at once."""

    what: str
    not_before: datetime | None

    def to_text(self) -> str:
        """Return it for people."""
        return self.what if self.not_before is None else f"{self.what}, not before {to_next_minute(self.not_before)}"


class _Mix(NamedTuple):
    """What caches hold until an instant and does not validate with what is served now, and how to mend it."""

    held: str
    until: datetime
    why: str
    remedy: str
    severity: Severity = Severity.HIGH


@dataclass(slots=True)
class _Life:
    """A key, when it was seen in the key set first and last, and whether the DS set ever pointed at it."""

    key: ZoneKey
    first_at: datetime
    last_at: datetime
    had_ds: bool = False


class Rollover:
    """The keys of one zone as one vantage sees it over time."""

    def __init__(self) -> None:
        self._previous: ZoneObservation | None = None
        self._validated: ZoneObservation | None = None
        self._held_ds: list[HeldDS] = []
        self._held_keys: list[HeldKeys] = []
        self._lives: dict[str, _Life] = {}
        self._first_at: datetime | None = None
        self._signed: set[tuple[int, int]] = set()
        self._held_data: dict[Signers, datetime] = {}
        self._shown: dict[tuple[tuple[ZoneKey, ...], tuple[str, ...]], datetime] = {}
        self._reported: dict[tuple[str, str], datetime] = {}
        self._current: tuple[ZoneKey, ...] = ()
        self.scheme = ""

    def take(self, message: ZoneObservation) -> list[Drift]:
        """Take in the next sight of the zone; return the steps of a rollover, and what is unsafe about it."""
        self._hold(message)
        self._previous = message
        if message.link.verdict not in VALIDATED:
            return []
        earlier, self._validated = self._validated, message
        found = [] if earlier is None else list(self._steps(earlier, message))
        if self._show(message, earlier):
            found = [one for one in found if one.code != Code.KEY_ROLLOVER]
        found += self._unsafe(message)
        self._learn(message)
        return found

    def is_step(self, earlier: ChainLink, later: ChainLink) -> bool:
        """Return whether a change of the DS set is a step of a rollover that leaves one path in place all the time.

        What comes points at a key that was published before, or stands beside what was there; what goes leaves a DS
        whose key signs the key set.
        """
        if earlier.verdict is not Verdict.SECURE or later.verdict is not Verdict.SECURE or not later.ds:
            return False
        before = {(key.tag, key.algorithm) for key in entry_keys(earlier.keys)}
        came = set(later.ds) - set(earlier.ds)
        return bool(set(earlier.ds) & set(later.ds)) or all(id_of_ds(ds) in before for ds in came)

    def next_steps(self, message: ZoneObservation) -> list[Step]:
        """Return what is left to do until no key and no DS is without its counterpart."""
        return [
            *self._next_of_ds(message),
            *self._next_of_entry_keys(message),
            *self._next_of_zone_keys(message),
            *self._next_of_signatures(message),
        ]

    def reused_tags(self, message: ZoneObservation) -> list[tuple[int, int]]:
        """Return the tags (with algorithm) in the key set that another key had, which was there until lately."""
        since, digests = message.observed_at - TAG_KEPT, {key.digest for key in message.link.keys}
        lately = {
            (life.key.tag, life.key.algorithm)
            for digest, life in self._lives.items()
            if digest not in digests and life.last_at >= since
        }
        return sorted(lately & _ids(message.link.keys))

    def _show(self, message: ZoneObservation, earlier: ZoneObservation | None) -> bool:
        """Note the key set and DS set of now; return whether they came back, after others, within a day."""
        now, at = (message.link.keys, message.link.ds), message.observed_at
        was = (earlier.link.keys, earlier.link.ds) if earlier is not None else now
        self._shown[was] = max(at, self._shown.get(was, at))
        lately = {one: last_at for one, last_at in self._shown.items() if at - last_at < SAME_AGAIN_WITHIN}
        came_back = now != was and now in lately
        lately[now] = at
        self._shown = dict(sorted(lately.items(), key=lambda one: one[1])[-MOST_HELD:])
        return came_back

    # what caches hold

    def _hold(self, message: ZoneObservation) -> None:
        """Keep what this sight replaces for as long as caches do."""
        now, previous = message.observed_at, self._previous
        if previous is not None and previous.link.verdict in VALIDATED:
            link, until = previous.link, message.earlier_ds_until
            if link.ds and link.ds != message.link.ds and until is not None:
                others = [held for held in self._held_ds if held.ds != link.ds]
                self._held_ds = [*others, HeldDS(link.ds, until)]
            until = message.earlier_keys_until
            if link.keys and link.keys != message.link.keys and until is not None:
                kept = [held for held in self._held_keys if held.keys != link.keys]
                self._held_keys = [*kept, HeldKeys(link.keys, until)]
        self._held_ds = [held for held in self._held_ds if held.until > now][-MOST_HELD:]
        self._held_keys = [held for held in self._held_keys if held.until > now][-MOST_HELD:]
        self._hold_data(message)

    def _hold_data(self, message: ZoneObservation) -> None:
        """Keep how data are signed: a collector that starts anew has not seen what was signed before."""
        keys = _ids(message.link.keys)
        held = {signers: until for signers, until in self._held_data.items() if until > message.observed_at}
        for one in message.signings if message.link.verdict is Verdict.SECURE else ():
            if one.keys in held or set(one.keys) & keys:
                held[one.keys] = max(one.cached_until, held.get(one.keys, one.cached_until))
        kept = sorted(held, key=lambda signers: held[signers])[-MOST_HELD:]
        self._held_data = {signers: held[signers] for signers in kept}

    def _learn(self, message: ZoneObservation) -> None:
        """Note which keys there are, since when, and which of them sign."""
        at, pointed_at = message.observed_at, set(map(id_of_ds, message.link.ds))
        self._first_at = self._first_at or at
        for key in (*message.link.keys, *self._current):  # those that went were there until now
            life = self._lives.setdefault(key.digest, _Life(key, at, at))
            life.last_at = max(at, life.last_at)
            life.had_ds = life.had_ds or (key.tag, key.algorithm) in pointed_at
        self._current = message.link.keys
        if len(self._lives) > MOST_KEYS_KNOWN:
            kept = sorted(self._lives.values(), key=lambda life: life.last_at)[-MOST_KEYS_KNOWN:]
            self._lives = {life.key.digest: life for life in kept}
        self._signed |= {one for signing in message.signings for one in signing.keys}
        self._signed &= _ids(message.link.keys)

    def _published_at(self, key: ZoneKey, message: ZoneObservation) -> datetime:
        life = self._lives.get(key.digest)
        return life.first_at if life is not None else message.observed_at

    # steps

    def _steps(self, earlier: ZoneObservation, message: ZoneObservation) -> Iterator[Drift]:
        old, new = earlier.link, message.link
        if old.verdict is not Verdict.SECURE or new.verdict is not Verdict.SECURE:
            self.scheme = ""
            return
        if old.keys != new.keys:
            signed = [one.keys for one in earlier.signings]
            change = classify_key_change(old, new, signed=signed, signs=_live(message))
            if change.code == Code.KEY_CHANGE_UNEXPECTED:
                self.scheme = ""
                yield drift_of(change.code, new.zone, change.detail, change.before, change.after)
                return
            self.scheme = _refined(self.scheme, change.scheme)
            step = self._step(message, f"{change.before} → {change.after}", change.before, change.after)
            yield replace(step, of_entry=touches_entry(old, new))
        elif old.ds != new.ds and message.parent and self.is_step(old, new):
            self.scheme = _refined(self.scheme, self._scheme_of_ds(old, new))
            before, after = (", ".join(ds.split()[0] for ds in one.ds) for one in (old, new))
            yield replace(self._step(message, f"DS {before} → {after}", f"DS {before}", f"DS {after}"), of_entry=True)
        elif begun := self._begun_to_sign(message):
            self.scheme = _refined(self.scheme, self._scheme_of_signing(message, begun))
            which = ", ".join(f"{tag} (algorithm {algorithm})" for tag, algorithm in begun)
            yield self._step(message, f"data are signed by {which}", "", f"signs: {which}")
        elif ended := set(self._left_over(earlier)) - set(self._left_over(message)):
            which = ", ".join(f"{tag} (algorithm {algorithm})" for tag, algorithm in sorted(ended))
            yield self._step(message, f"data are signed by {which} no more", f"signs: {which}", "")
        if not self.next_steps(message):
            self.scheme = ""

    def _step(self, message: ZoneObservation, what: str, before: str, after: str) -> Drift:
        steps = self.next_steps(message)
        follows = "next: " + "; ".join(step.to_text() for step in steps) if steps else "the rollover is complete"
        detail = f"{message.zone}: {self.scheme}: {what}; {follows}"
        return drift_of(Code.KEY_ROLLOVER, message.zone, detail, before, after)

    def _scheme_of_ds(self, old: ChainLink, new: ChainLink) -> str:
        ids = {id_of_ds(ds) for ds in set(new.ds) ^ set(old.ds)}
        if {algorithm for _, algorithm in map(id_of_ds, old.ds)} != {
            algorithm for _, algorithm in map(id_of_ds, new.ds)
        }:
            return "algorithm_conservative"
        if not any(not key.flags & SEP for key in new.keys):
            return "csk"
        return "ksk_double_key" if ids <= _ids(new.keys) else "ksk_double_ds"

    def _begun_to_sign(self, message: ZoneObservation) -> Signers:
        """Return the keys that sign data now and did not before, though the zone was seen signing."""
        if not self._signed:
            return ()
        new = {one for signers in _live(message) for one in signers} - self._signed
        later = {
            (key.tag, key.algorithm) for key in message.link.keys if self._published_at(key, message) == self._first_at
        }
        return tuple(sorted(new - later - self._departed(message)))

    def _scheme_of_signing(self, message: ZoneObservation, begun: Signers) -> str:
        if not set(begun) <= _ids(message.link.keys):
            return "algorithm_conservative"  # RFC 6781 §4.1.4: signatures first, then the key
        return (
            "zsk_double_signature"
            if any(set(s) - set(begun) and set(s) & set(begun) for s in _live(message))
            else "zsk_prepublish"
        )

    # what comes next

    def _next_of_ds(self, message: ZoneObservation) -> Iterator[Step]:
        keys = _ids(message.link.keys)
        for ds in message.link.ds if message.parent else ():
            if id_of_ds(ds) not in keys:
                until = max((held.until for held in self._held_ds if ds not in held.ds), default=None)
                yield Step(f"publish the key of DS {ds.split()[0]}", until)

    def _next_of_entry_keys(self, message: ZoneObservation) -> Iterator[Step]:
        pointed_at = set(map(id_of_ds, message.link.ds))
        for key in entry_keys(message.link.keys):
            one = (key.tag, key.algorithm)
            if one in pointed_at or key.flags & REVOKE:
                continue
            if not message.parent:
                yield Step(f"trust {describe_key(key)} (RFC 5011)", self._published_at(key, message) + HOLD_DOWN)
                continue
            naming = [held.until for held in self._held_ds if one in set(map(id_of_ds, held.ds))]
            life = self._lives.get(key.digest)
            if naming or (life is not None and life.had_ds):
                yield Step(f"withdraw {describe_key(key)}", max(naming, default=None))
            elif key.flags & SEP:
                lacking = [held.until for held in self._held_keys if one not in _ids(held.keys)]
                yield Step(f"publish the DS of {describe_key(key)}", max(lacking, default=None))

    def _next_of_zone_keys(self, message: ZoneObservation) -> Iterator[Step]:
        """Yield what is left to do for keys that sign data: a key signs no more once data by others only are newer."""
        if not _live(message) or not any(key.flags & SEP for key in message.link.keys):
            return
        for key in message.link.keys:
            one = (key.tag, key.algorithm)
            by_it = max((s.cached_until for s in message.signings if one in s.keys), default=None)
            by_others = max((s.cached_until for s in message.signings if s.keys and one not in s.keys), default=None)
            if key.flags & SEP:
                continue
            if by_it is None:
                # RFC 4035 §2.2: each algorithm in the key set signs; a further signature breaks nothing in any cache.
                is_first = all(one[1] != algorithm for signers in _live(message) for _, algorithm in signers)
                lacking = [held.until for held in self._held_keys if one not in _ids(held.keys)]
                yield Step(f"sign with {describe_key(key)}", None if is_first else max(lacking, default=None))
            elif by_others is not None and by_it < by_others:
                yield Step(f"withdraw {describe_key(key)}", by_it if by_it > message.observed_at else None)

    def _next_of_signatures(self, message: ZoneObservation) -> Iterator[Step]:
        """Yield whose signatures stay when the keys of an algorithm have gone. Source: RFC 6781 §4.1.4."""
        for one in self._left_over(message):
            naming = [held.until for held in self._held_keys if one in _ids(held.keys)]
            yield Step(f"sign without key {one[0]} (algorithm {one[1]})", max(naming, default=None))

    def _left_over(self, message: ZoneObservation) -> Signers:
        """Return the keys of an algorithm that has left the key set, and that sign data still, beside keys of now."""
        keys = _ids(message.link.keys)
        algorithms = {algorithm for _, algorithm in keys}
        gone = {one for one in self._departed(message) if one[1] not in algorithms}
        beside = [signing for signing in message.signings if set(signing.keys) & keys]
        newest = max((signing.cached_until for signing in beside if not set(signing.keys) & gone), default=None)
        left = (set(s.keys) & gone for s in beside if newest is None or s.cached_until >= newest)
        return tuple(sorted(set().union(*left)))

    def _departed(self, message: ZoneObservation) -> set[tuple[int, int]]:
        """Return by tag and algorithm the keys that were in the key set before."""
        known = {(life.key.tag, life.key.algorithm) for life in self._lives.values()}
        return known - _ids(message.link.keys)

    # what is unsafe

    def _unsafe(self, message: ZoneObservation) -> Iterator[Drift]:
        now = message.observed_at
        self._reported = {key: until for key, until in self._reported.items() if until > now}
        is_unsigned = message.link.verdict is Verdict.INSECURE
        for mix in self._mixes_unsigned(message) if is_unsigned else self._mixes(message):
            key = (mix.held, mix.why)
            if key not in self._reported:
                self._reported[key] = mix.until
                detail = (
                    f"{message.zone}: {mix.why}; where caches hold {mix.held}, until {to_next_minute(mix.until)},"
                    f" answers are bogus though all looks well from here; until then, {mix.remedy}"
                )
                now_is = describe_keys(message.link.keys) or "unsigned"
                yield drift_of(Code.ROLLOVER_UNSAFE, message.zone, detail, mix.held, now_is, mix.severity)

    def _mixes_unsigned(self, message: ZoneObservation) -> Iterator[_Mix]:
        if not any(signing.keys == () for signing in message.signings):
            return
        for held in self._held_ds:
            tags = ", ".join(ds.split()[0] for ds in held.ds)
            why, remedy = f"the zone went unsigned right after its DS {tags} was removed", "sign the zone as before"
            yield _Mix(f"DS {tags}", held.until, why, remedy, Severity.CRITICAL)

    def _mixes(self, message: ZoneObservation) -> Iterator[_Mix]:
        link, now = message.link, message.observed_at
        keys = _ids(link.keys)
        signing = {one for one in keys if one[0] in link.signed_by}
        for held in self._held_ds if message.parent else ():
            ids = set(map(id_of_ds, held.ds))
            if held.ds != link.ds and not ids & signing:
                tags = ", ".join(str(tag) for tag, _ in sorted(ids))
                is_gone = not ids & keys
                why = f"the key of DS {tags} {'was withdrawn too early' if is_gone else 'signs no more'}"
                remedy = f"publish the key of DS {tags} and sign the key set with it"
                yield _Mix(f"DS {tags}", held.until, why, remedy)
        for old in self._held_keys:
            before = _ids(old.keys)
            if message.parent and before != keys and not set(map(id_of_ds, link.ds)) & before:
                why = "the DS set was replaced while caches hold a key set without its keys"
                yield _Mix(describe_keys(old.keys), old.until, why, "have the DS of before published beside it")
            for signers in _live(message):
                if set(signers) & keys and not set(signers) & before:
                    tags = ", ".join(str(tag) for tag, _ in signers)
                    why = f"data are signed by key {tags} while caches hold a key set without it"
                    yield _Mix(describe_keys(old.keys), old.until, why, "sign with a key of before")
        for signers, until in self._held_data.items():
            if until > now and not set(signers) & keys:
                tags = ", ".join(str(tag) for tag, _ in signers)
                why, remedy = f"key {tags} was withdrawn too early", f"publish key {tags} again"
                yield _Mix(f"data signed by {tags}", until, why, remedy)


def _live(message: ZoneObservation) -> list[Signers]:
    """Return how data of the zone are signed as far as they were seen just now, or caches may still have them."""
    since = message.observed_at - VALIDATION_TAKES
    return [one.keys for one in message.signings if one.keys and one.cached_until >= since]


def _ids(keys: tuple[ZoneKey, ...]) -> set[tuple[int, int]]:
    return {(key.tag, key.algorithm) for key in keys}


def _refined(scheme: str, step: str) -> str:
    """Return the kind of a rollover under way after one more step: an algorithm's is one of keys, too."""
    if scheme.startswith("algorithm_") or (scheme == "ksk_double_ds" and step == "ksk_double_key"):
        return scheme
    return step if not scheme or step != "zsk_prepublish" else scheme
