"""Many incidents that began together are one page with the list: a storm. Pure.

A storm is an incident of its own, for one receiver, with the leading finding of each of its members. Those of one code
within a minute make one, those below one parent zone, and those that a route groups by labels. It is told as any other:
a member worse than those told of is an update that rings, so that decoys can't bury it. It ends with its last member.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec

from alerts.decision.bounds import shorten
from alerts.decision.incidents import Entry, Incident, Member
from alerts.decision.matchers import values_of
from alerts.decision.routing import Way
from alerts.decision.timekeeping import Moment
from schemas.catalogue import find_row
from schemas.messages import CRITICALITY_ORDER
from schemas.wire import digest_of

WITHIN = timedelta(seconds=60)
JOINABLE = timedelta(minutes=5)
"""So long after the last one joined a storm takes further incidents in."""
MOST_LISTED = 200
MOST_ENTRIES = 50
MOST_KEYS = 2_000
"""From so many things that incidents may share those of long ago are forgotten."""
LEAST_OF_GROUP = 2
CODE, BELOW, GROUP = "code", "below", "group"
Key = tuple[str, ...]


def keys_of(incident: Incident, receiver: str, way: Way) -> Iterator[Key]:
    """Yield what an incident may share with others, for one receiver, the most exact first."""
    entry = _leading(incident, receiver)
    if entry is None:
        return
    finding = entry.finding
    if way.group_by:
        values = (f"{label}={','.join(values_of(finding, entry.severity, label).values)}" for label in way.group_by)
        yield receiver, GROUP, *values
    row = find_row(finding.code)
    if row is not None and not finding.code.startswith("self_"):
        yield receiver, CODE, finding.code
    _, dot, parent = incident.cause.partition(".")
    if dot and parent and incident.cause.endswith("."):
        yield receiver, BELOW, parent


class Storms:
    """State: what began lately, the open storms, and their open members. ``least`` make a storm, 0: none does."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._recent: dict[Key, dict[str, datetime]] = {}
        self._joined: dict[Key, tuple[str, datetime]] = {}
        self._members: dict[str, set[str]] = {}
        self._unsynced: dict[str, Incident] = {}

    def load(self, incident: Incident, at: Moment) -> None:
        """Take up an open incident of before."""
        if incident.is_storm:
            self._joined[incident.storm_key] = (incident.id, at.steady)
            self._members.setdefault(incident.id, set())
        for storm in incident.storms.values():
            self._members.setdefault(storm, set()).add(incident.id)

    def is_held(self, storm: str) -> bool:
        """Return whether an incident of a storm is open."""
        return bool(self._members.get(storm))

    def heed(self, incident: Incident) -> None:
        """Note the newest state of an incident, for the storms that it is in."""
        if incident.storms:
            self._unsynced[incident.id] = incident
            if incident.ended_at is not None:
                for storm in incident.storms.values():
                    self._members.get(storm, set()).discard(incident.id)
        if incident.is_storm and incident.ended_at is not None:
            self._members.pop(incident.id, None)
            if self._joined.get(incident.storm_key, ("", None))[0] == incident.id:
                del self._joined[incident.storm_key]

    def take_unsynced(self) -> list[Incident]:
        """Return the members that changed since the last time, and forget that they did."""
        found, self._unsynced = list(self._unsynced.values()), {}
        return found

    def usable(self, keys: Iterable[Key]) -> list[Key]:
        """Return the keys by which incidents are gathered at all, each once."""
        return [key for key in dict.fromkeys(keys) if self._least or key[1] == GROUP]

    def note(self, incident: Incident, keys: list[Key], at: Moment) -> None:
        """Note that an incident begins now, as far as its receivers are concerned."""
        if len(self._recent) > MOST_KEYS:
            self._recent = {key: some for key, some in self._recent.items() if not _is_late(key, some, at)}
        for key in keys:
            self._recent.setdefault(key, {}).setdefault(incident.id, at.steady)

    def find_open(self, keys: list[Key], at: Moment) -> str:
        """Return the open storm that an incident joins, an empty text where none takes it."""
        for key in keys:
            storm, joined_at = self._joined.get(key, ("", at.steady))
            if storm and (key[1] == GROUP or abs(at.steady - joined_at) <= JOINABLE):
                self._joined[key] = (storm, at.steady)
                return storm
        return ""

    def gather(self, keys: list[Key], incidents: Mapping[str, Incident], at: Moment) -> tuple[Key, list[Incident]]:
        """Return the open incidents that make a storm now with what they share, none where they are too few."""
        for key in keys:
            recent = self._recent.get(key, {})
            for one, since in list(recent.items()):
                is_late = key[1] != GROUP and abs(at.steady - since) > WITHIN
                if is_late or one not in incidents or key[0] in incidents[one].storms:
                    del recent[one]
            if not recent:
                self._recent.pop(key, None)
            least = LEAST_OF_GROUP if key[1] == GROUP else self._least
            if least and len(recent) >= least:
                del self._recent[key]
                return key, [incidents[one] for one in recent]
        return (), []

    def begin(self, key: Key, members: list[Incident], at: Moment) -> Incident:
        """Return a new storm without its members, which ``with_member`` adds."""
        storm = Incident(
            id=digest_of("storm", *key, *sorted(one.id for one in members))[:32],
            cause=cause_of_storm(key),
            opened_at=min(one.opened_at for one in members),
            updated_at=max(one.updated_at for one in members),
            # Its members have waited already.
            waiting={key[0]: min(one.waiting.get(key[0], at.steady) for one in members)},
            storm_key=key,
        )
        self._joined[key] = (storm.id, at.steady)
        self._members[storm.id] = set()
        return storm

    def add(self, storm: str, incident: Incident) -> None:
        """Note that an incident is in a storm."""
        self._members.setdefault(storm, set()).add(incident.id)


def _is_late(key: Key, recent: Mapping[str, datetime], at: Moment) -> bool:
    """Return whether what shares a key can make no storm any more."""
    return key[1] != GROUP and all(abs(at.steady - since) > WITHIN for since in recent.values())


def cause_of_storm(key: Key) -> str:
    """Return what a storm is called where incidents have their cause."""
    kind, *values = key[1:]
    return f"storm below {values[0]}" if kind == BELOW else f"storm of {' '.join(values)}"


def with_member(storm: Incident, incident: Incident, *, joins: bool = False) -> Incident:
    """Return a storm with the newest state of a member in it, which ``joins`` it now or did before."""
    receiver = storm.storm_key[0]
    member, entry = _member_of(incident, receiver)
    before = next((one for one in storm.members if one.incident == incident.id), None)
    if not joins and before == member and (entry is None or storm.entries.get(entry.finding.id) == entry):
        return storm
    members = [one for one in storm.members if one.incident != incident.id]
    members = sorted([*members, member], key=_rank)[:MOST_LISTED]
    entries = {key: one for key, one in storm.entries.items() if before is None or key != before.finding}
    if entry is not None:
        entries[entry.finding.id] = entry
    if len(entries) > MOST_ENTRIES:
        kept = [one.finding for one in members if one.finding in entries][:MOST_ENTRIES]
        entries = {key: entries[key] for key in kept}
    return msgspec.structs.replace(
        storm,
        members=tuple(members),
        member_count=storm.member_count + joins,
        entries=entries,
        updated_at=max(storm.updated_at, incident.updated_at),
    )


def _member_of(incident: Incident, receiver: str) -> tuple[Member, Entry | None]:
    entry = _leading(incident, receiver) or _any_for(incident, receiver)
    finding = entry.finding if entry is not None else incident.lead
    first = min(finding.identities, key=lambda one: (CRITICALITY_ORDER[one.criticality], one.id), default=None)
    member = Member(
        incident=incident.id,
        cause=incident.cause,
        code=finding.code,
        severity=entry.severity if entry is not None else incident.severity,
        criticality=first.criticality if first is not None else "",
        identity=first.id if first is not None else "",
        host=first.hosts[0] if first is not None and first.hosts else "",
        is_open=incident.ended_at is None,
        finding=finding.id,
    )
    if entry is None:
        return member, None
    paths = {receiver: entry.paths[receiver]} if receiver in entry.paths else {}
    return member, msgspec.structs.replace(shorten(entry), receivers=(receiver,), paths=paths)


def _leading(incident: Incident, receiver: str) -> Entry | None:
    """Return the entry that says most to a receiver, of those that may page it."""
    return max(
        (one for one in incident.entries.values() if one.is_audible and receiver in one.receivers),
        key=lambda one: (one.severity.rank, one.finding.opened_at),
        default=None,
    )


def _any_for(incident: Incident, receiver: str) -> Entry | None:
    return max(
        (one for one in incident.entries.values() if receiver in one.receivers),
        key=lambda one: (one.is_open, one.severity.rank, one.finding.updated_at),
        default=None,
    )


def _rank(member: Member) -> tuple[object, ...]:
    place = CRITICALITY_ORDER.get(member.criticality, len(CRITICALITY_ORDER))
    return (not member.is_open, -member.severity.rank, place, member.cause)
