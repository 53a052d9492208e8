"""The history in memory: for runs that end with the process, such as a replay. Pure.

It keeps the promises of the one in ClickHouse as far as the analyzer asks (``tests/contracts/test_history.py``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from analyzer.history import rows
from analyzer.history.rows import Row
from analyzer.sightings import LEARNT_FOR, Sighting, join_sightings
from schemas.judgement import VALIDATED, Judgement
from schemas.messages import Act, Finding, Identity, Subject, ZoneObservation

DRIFTS_KEPT = timedelta(hours=24)
RENEWALS_KEPT = 20
ZoneAtVantage = tuple[str, str]


@dataclass(slots=True)
class _Observed:
    """One stored observation; its judgement is read when it is asked for."""

    id: str
    at: datetime
    verdict: str
    answers: list[str]
    content: str


@dataclass(slots=True)
class _Finding:
    """One version of a finding, and the message that caused it."""

    finding: Finding
    trigger: str


class MemoryHistory:
    """What was observed and found. Rows that come again change nothing."""

    def __init__(self) -> None:
        self._observations: dict[str, _Observed] = {}
        self._by_subject: dict[Subject, list[_Observed]] = {}
        # By subject and observation when it was polled first and last.
        self._polled: dict[Subject, dict[str, datetime]] = {}
        self._zones: dict[ZoneAtVantage, dict[str, ZoneObservation]] = {}
        self._zone_ids: set[str] = set()
        self._findings: dict[str, dict[int, _Finding]] = {}
        self._caused: dict[str, list[Finding]] = {}
        self._identities: dict[str, tuple[datetime, str]] = {}
        self._renewals: dict[tuple[str, bool], dict[datetime, tuple[float, float]]] = {}
        self._sweep_ids: set[str] = set()
        self._swept: dict[ZoneAtVantage, tuple[datetime, str]] = {}
        self._acts: dict[str, str] = {}

    def append(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Store rows by table; evidence is not kept: nothing that the analyzer asks rests on it."""
        for row in tables.get("identities", ()):
            self._put_identity(*row)
        for zone, at, left, of_keys, interval_s in tables.get("renewals", ()):
            self._renewals.setdefault((zone, bool(of_keys)), {})[at] = left, interval_s
        for row in tables.get("acts", ()):
            self._acts[row[0]] = row[5]
        for row in tables.get("findings", ()):
            self._put_finding(row)
        for row in tables.get("zones", ()):
            self._put_zone(row)
        for row in tables.get("sweeps", ()):
            self._put_sweep(*row)
        for row in tables.get("observations", ()):
            self._put_observation(row)
        for name, rdtype, vantage, observation, _, _, _, last_seen_at, _ in tables.get("verdicts", ()):
            polled = self._polled.setdefault((name, rdtype, vantage), {})
            known = polled.get(observation)
            if known is None or last_seen_at > known:
                polled[observation] = last_seen_at

    def _put_identity(self, identity: str, seen_at: datetime, content: str) -> None:
        known = self._identities.get(identity)
        if known is None or seen_at >= known[0]:
            self._identities[identity] = seen_at, content

    def _put_finding(self, row: Row) -> None:
        (finding,) = rows.read_findings([row[12]])
        versions = self._findings.setdefault(finding.id, {})
        if finding.version not in versions:
            versions[finding.version] = _Finding(finding, row[11])
            self._caused.setdefault(row[11], []).append(finding)

    def _put_zone(self, row: Row) -> None:
        if row[0] not in self._zone_ids:
            self._zone_ids.add(row[0])
            message = rows.read_zone(row[14])
            self._zones.setdefault((message.zone, message.vantage), {})[message.id] = message

    def _put_sweep(self, sweep: str, zone: str, parent: str, vantage: str, at: datetime, *rest: Any) -> None:
        self._sweep_ids.add(sweep)
        memory, known = rest[-1], self._swept.get((zone, vantage))
        if memory and (known is None or at >= known[0]):
            self._swept[zone, vantage] = at, memory

    def _put_observation(self, row: Row) -> None:
        if row[0] in self._observations:
            return
        observed = _Observed(row[0], row[4], row[6], row[10], row[13])
        self._observations[row[0]] = observed
        self._by_subject.setdefault((row[1], row[2], row[3]), []).append(observed)

    # what was known strictly before

    def _validated(self, subject: Subject, until: datetime) -> list[_Observed]:
        known = self._by_subject.get(subject, ())
        return [one for one in known if one.verdict in VALIDATED and one.at < until]

    def validated_before(self, until: dict[Subject, datetime]) -> dict[Subject, Judgement]:
        """Return each subject's last secure or insecure judgement strictly before its instant."""
        found = {subject: self._validated(subject, at) for subject, at in until.items()}
        return {
            subject: rows.read_judgement(max(known, key=lambda one: one.at).content)
            for subject, known in found.items()
            if known
        }

    def sightings_before(self, until: dict[Subject, datetime]) -> dict[Subject, list[Sighting]]:
        """Return each record in a subject's validated answers of the last 30 days strictly before its instant."""
        found: dict[Subject, list[Sighting]] = {}
        for subject, at in until.items():
            polled = self._polled.get(subject, {})
            seen = []
            for one in self._validated(subject, at):
                last_at = min(max(polled.get(one.id, one.at), one.at), at)
                if last_at >= at - LEARNT_FOR:
                    ttl_s = rows.read_judgement(one.content).ttl_s
                    seen += [Sighting(record, one.at, last_at, last_at - one.at, 1, ttl_s) for record in one.answers]
            if seen:
                found[subject] = join_sightings(seen)
        return found

    def latest_judgements(self) -> list[tuple[str, datetime, datetime, Judgement]]:
        """Return of every subject the observation that was polled last: id, when, when polled, and its judgement."""
        found = []
        for polled in self._polled.values():
            observation, seen_at = max(polled.items(), key=lambda item: (item[1], item[0]))
            if (known := self._observations.get(observation)) is not None:
                found.append((observation, known.at, seen_at, rows.read_judgement(known.content)))
        return found

    def stored_of(self, observations: Sequence[str]) -> set[str]:
        """Return which of these observations are stored, by id."""
        return {one for one in observations if one in self._observations}

    def judgements_of(self, observations: Sequence[str]) -> dict[str, Judgement]:
        """Return the judgements of those of these observations that are stored, by id."""
        return {
            one: rows.read_judgement(self._observations[one].content)
            for one in observations
            if one in self._observations
        }

    def polled_until(self, names_by_id: Mapping[str, str]) -> dict[str, datetime]:
        """Return when each of these observations was last polled, by id, given the names that they are of."""
        found: dict[str, datetime] = {}
        names = set(names_by_id.values())
        for subject, polled in self._polled.items():
            if subject[0] in names:
                for observation in names_by_id.keys() & polled.keys():
                    found[observation] = max(polled[observation], found.get(observation, polled[observation]))
        return found

    # zones

    def zones_lately(self, since: datetime, of: Sequence[ZoneAtVantage] = ()) -> list[ZoneObservation]:
        """Return of every zone and vantage (of these, if some are given) what tells its rollovers, oldest first."""
        wanted = self._zones.keys() if not of else dict.fromkeys(of).keys() & self._zones.keys()
        found = {one.id: one for key in wanted for one in _telling(self._zones[key].values(), since)}
        return sorted(found.values(), key=lambda one: (one.observed_at, one.zone, one.vantage))

    def zones_stored_of(self, ids: Sequence[str]) -> set[str]:
        """Return which of these observations of zones are stored, by id."""
        return {one for one in ids if one in self._zone_ids}

    def sweep_memories(self, of: Sequence[ZoneAtVantage] = ()) -> list[tuple[str, str, str]]:
        """Return of every swept zone and vantage what was remembered after the newest sweep: zone, vantage, memory."""
        wanted = self._swept.keys() if not of else dict.fromkeys(of).keys() & self._swept.keys()
        return [(zone, vantage, self._swept[zone, vantage][1]) for zone, vantage in sorted(wanted)]

    def sweeps_stored_of(self, zones_by_id: Mapping[str, str]) -> set[str]:
        """Return which of these sweeps are stored, by id."""
        return self._sweep_ids & zones_by_id.keys()

    # findings

    def _newest(self) -> Iterable[Finding]:
        return (versions[max(versions)].finding for versions in self._findings.values())

    def open_findings(self) -> list[Finding]:
        """Return the newest version of every state that is not closed, and of the drifts of the last day."""
        newest = list(self._newest())
        last = max((one.updated_at for one in newest), default=None)
        return [
            one
            for one in newest
            if one.status != "closed"
            and (one.kind != "drift" or (last is not None and one.updated_at >= last - DRIFTS_KEPT))
        ]

    def findings(
        self,
        *,
        status: str = "",
        code: str = "",
        zone: str = "",
        name: str = "",
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Finding]:
        """Return the newest version of findings, newest first; of open ones the states come first."""
        found = [
            one
            for one in self._newest()
            if status in ("", "closed" if one.status == "closed" else "open")
            and code in ("", one.code)
            and zone in ("", one.cause_zone)
            and (not name or one.is_about(name))
            and (since is None or one.updated_at >= since)
        ]
        found.sort(key=lambda one: one.updated_at, reverse=True)
        if status == "open":
            found.sort(key=lambda one: one.kind == "drift")
        return found[:limit]

    def findings_of(self, ids: Sequence[str]) -> list[Finding]:
        """Return the newest version of each of these findings."""
        known = (self._findings[one] for one in dict.fromkeys(ids) if one in self._findings)
        return [versions[max(versions)].finding for versions in known]

    def first_triggers(self, ids: Sequence[str]) -> dict[str, str]:
        """Return which message opened each of these findings, by the finding's id."""
        known = {one: self._findings[one] for one in ids if one in self._findings}
        return {one: versions[min(versions)].trigger for one, versions in known.items()}

    def finding_versions(self, finding_id: str) -> list[Finding]:
        """Return every version of one finding, oldest first."""
        return [one.finding for _, one in sorted(self._findings.get(finding_id, {}).items())]

    def findings_triggered_by(self, triggers: Sequence[str]) -> list[Finding]:
        """Return what these messages caused when they were handled before."""
        found = [one for trigger in dict.fromkeys(triggers) for one in self._caused.get(trigger, ())]
        return sorted(found, key=lambda one: (one.updated_at, one.id, one.version))

    # the rest

    def identities(self) -> list[tuple[str, Identity]]:
        """Return every identity that is in the inventory, by id."""
        pairs = [(key, rows.read_identity(content)) for key, (_, content) in sorted(self._identities.items())]
        return [(key, identity) for key, identity in pairs if identity is not None]

    def renewals(self) -> dict[tuple[str, bool], list[tuple[float, float]]]:
        """Return for each zone, its key set (True) apart from its data, the last renewals of its signatures."""
        return {
            key: [renewal for _, renewal in sorted(renewals.items())][-RENEWALS_KEPT:]
            for key, renewals in self._renewals.items()
        }

    def acts(self, limit: int = 1000) -> list[Act]:
        """Return what people did, newest first."""
        found = sorted(map(rows.read_act, self._acts.values()), key=lambda act: act.id)
        return sorted(found, key=lambda act: act.at, reverse=True)[:limit]

    def standing_acts(self, kinds: Sequence[str]) -> list[Act]:
        """Return all that people did of these kinds, oldest first."""
        found = [act for act in map(rows.read_act, self._acts.values()) if act.kind in kinds]
        return sorted(found, key=lambda act: (act.at, act.id))


def _telling(sights: Iterable[ZoneObservation], since: datetime) -> Iterable[ZoneObservation]:
    """Yield the newest, the newest that was validated, and the first with each DS set and key set since an instant."""
    in_order = sorted(sights, key=lambda one: one.observed_at)
    yield in_order[-1]
    yield from [one for one in in_order if str(one.link.verdict) in VALIDATED][-1:]
    seen = set()
    for one in in_order:
        key = (one.link.ds, tuple((k.tag, k.algorithm, k.flags, k.bits, k.digest) for k in one.link.keys))
        if one.observed_at >= since and key not in seen:
            seen.add(key)
            yield one
