"""Findings with one cause: what a person is paged for. Pure: a finding in, an incident out.

An incident that is open takes in further findings on its cause; one that ended stays ended, and the next fault on the
same zone is a new incident with a new id, so that a pager rings again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from alerts.decision.life import Acknowledgement, Happening, State, add_to_log
from alerts.decision.news import Story
from schemas.catalogue import Kind, Severity, codes_where
from schemas.cause import CUT, owner_of, vantage_of
from schemas.codes import Code
from schemas.messages import CRITICALITY_ORDER, Affected, Control, Finding, FindingStatus
from schemas.wire import digest_of

# Codes that say that something is wrong, but not what.
UMBRELLAS = codes_where(lambda row: row.umbrella)
# That the answer changed is a consequence of these: a reader would name them first.
BEHIND_ANSWERS = frozenset({Code.ALIAS_EXITS_SIGNED_SPACE, Code.SECURE_TO_INSECURE, Code.TAKEOVER_PATTERN})


SILENCED = "silenced by "


class Silenced(msgspec.Struct, frozen=True, kw_only=True):
    """Why a finding pages nobody for now: whose silence, or which maintenance window, until when."""

    id: str
    by: str
    why: str
    until: datetime

    def __str__(self) -> str:
        return f"{SILENCED}{self.by} until {self.until:%Y-%m-%d %H:%M} UTC" + (f": {self.why}" if self.why else "")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One finding as an incident has it: with the severity and the receivers that the rules gave it.

    ``silenced`` is None while it may page. ``paths`` say by which route each receiver gets it.
    """

    finding: Finding
    severity: Severity
    receivers: tuple[str, ...]
    controls: tuple[Control, ...] = ()
    silenced: Silenced | None = None
    paths: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Return whether a state still holds; a drift has no end of its own."""
        return self.finding.kind is not Kind.DRIFT and self.finding.status is not FindingStatus.CLOSED

    @property
    def is_news(self) -> bool:
        """Return whether it is a drift that nobody accepted."""
        return self.finding.kind is Kind.DRIFT and self.finding.status is not FindingStatus.CLOSED

    @property
    def is_live(self) -> bool:
        """Return whether it is to be notified: a confirmed state that holds, or a drift that nobody accepted."""
        return self.finding.confirmed and self.finding.status is not FindingStatus.CLOSED

    @property
    def is_audible(self) -> bool:
        """Return whether it is to be notified, and nobody silenced it."""
        return self.silenced is None and self.is_live


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One incident of a storm: its cause, what is the case, how bad, and the most critical identity with a host."""

    incident: str
    cause: str
    code: str
    severity: Severity
    criticality: str = ""
    identity: str = ""
    host: str = ""
    is_open: bool = True
    finding: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Findings on one cause.

    ``notified`` maps each receiver that was notified to the severity it was notified of, ``said`` to the story it got;
    ``ended_at`` is None while open. ``withheld`` is the last reason for not notifying anybody. ``explains`` names the
    causes of the incidents that are withheld because this one explains them. ``acknowledged`` is None while nobody has
    it, ``reopened_because`` says why nobody has it any more, ``widened`` that the zone as a
    whole failed after somebody had taken it for a fault of names. ``log`` is what happened, oldest first. ``muted`` are
    receivers that were notified, and were then told nothing more because of a silence.

    By receiver, all in steady time: ``waiting`` has since when its first page waits for what belongs to it,
    ``first_told`` and ``told_at`` when its first and its last page were ordered. ``rings`` counts its updates that had
    to ring, ``memos`` has what it wants to find again. ``escalated`` are receivers that were told since nobody
    acknowledged it. ``storms`` names the storm that tells a receiver of it; ``members`` are the first of the
    ``member_count`` that a storm had, the most critical first, and ``storm_key`` what they share.
    """

    id: str
    cause: str
    opened_at: datetime
    updated_at: datetime
    entries: dict[str, Entry] = msgspec.field(default_factory=dict)
    notified: dict[str, Severity] = msgspec.field(default_factory=dict)
    said: dict[str, Story] = msgspec.field(default_factory=dict)
    explains: tuple[str, ...] = ()
    last_notified_at: datetime | None = None
    deliveries: int = 0
    withheld: str = ""
    ended_at: datetime | None = None
    acknowledged: Acknowledgement | None = None
    reopened_because: str = ""
    widened: bool = False
    log: tuple[Happening, ...] = ()
    muted: dict[str, str] = msgspec.field(default_factory=dict)
    waiting: dict[str, datetime] = msgspec.field(default_factory=dict)
    first_told: dict[str, datetime] = msgspec.field(default_factory=dict)
    told_at: dict[str, datetime] = msgspec.field(default_factory=dict)
    rings: dict[str, int] = msgspec.field(default_factory=dict)
    memos: dict[str, str] = msgspec.field(default_factory=dict)
    escalated: tuple[str, ...] = ()
    reopened_at: datetime | None = None
    storms: dict[str, str] = msgspec.field(default_factory=dict)
    members: tuple[Member, ...] = ()
    member_count: int = 0
    storm_key: tuple[str, ...] = ()

    @property
    def is_storm(self) -> bool:
        """Return whether it stands for several incidents."""
        return bool(self.storm_key)

    @property
    def state(self) -> State:
        """Return where it is in its life."""
        if self.ended_at is not None:
            return State.RESOLVED
        if self.acknowledged is not None:
            return State.ACKNOWLEDGED
        return State.REOPENED if self.reopened_because else State.OPEN

    def noting(self, happening: Happening) -> "Incident":
        """Return the incident with something that happened in its log."""
        return msgspec.structs.replace(self, log=add_to_log(self.log, happening))

    @property
    def severity(self) -> Severity:
        """Return the highest severity of live entries, or of all where none is live.

        Those that page count first, then those with receivers that are silenced.
        """
        audible = [e.severity for e in self.entries.values() if e.is_audible and e.receivers]
        routed = [e.severity for e in self.entries.values() if e.is_live and e.receivers]
        live = [e.severity for e in self.entries.values() if e.is_live]
        found = audible or routed or live or [e.severity for e in self.entries.values()]
        return max(found, key=lambda severity: severity.rank)

    @property
    def lead(self) -> Finding:
        """Return the finding that says most: open before closed, confirmed, severe, exact before general, of the zone
        before one of its names.

        That an answer changed comes behind what made it change.
        """
        has_reason = any(e.is_audible and e.finding.code in BEHIND_ANSWERS for e in self.entries.values())
        entries = sorted(
            self.entries.values(),
            key=lambda e: (
                e.finding.status is FindingStatus.CLOSED,
                not e.is_live,
                e.silenced is not None,
                has_reason and e.finding.code == Code.ANSWER_CHANGED,
                -e.severity.rank,
                e.finding.code in UMBRELLAS,
                bool(owner_of(e.finding.cause_rrset)),
                e.finding.opened_at,
            ),
        )
        return entries[0].finding

    @property
    def confirmed(self) -> bool:
        """Return whether any entry is live."""
        return any(e.is_live for e in self.entries.values())

    @property
    def receivers(self) -> tuple[str, ...]:
        """Return the receivers of live entries that nobody silenced, each once."""
        found = dict.fromkeys(name for e in self.entries.values() if e.is_audible for name in e.receivers)
        return (*found, *(name for name in self.escalated if name not in found)) if found else ()

    def paths_of(self, receiver: str) -> set[str]:
        """Return the routes by which a receiver gets what may page in it; the empty one where a rule named it."""
        return {e.paths.get(receiver, "") for e in self.entries.values() if e.is_audible and receiver in e.receivers}

    @property
    def silenced(self) -> dict[str, Silenced]:
        """Return the receivers that silences keep from being told anything, each with the one that lasts longest."""
        found: dict[str, Silenced] = {}
        audible = set(self.receivers)
        for entry in self.entries.values():
            if entry.is_live and entry.silenced is not None:
                for name in entry.receivers:
                    if name not in audible and (name not in found or found[name].until < entry.silenced.until):
                        found[name] = entry.silenced
        return found

    @property
    def _shown(self) -> list[Entry]:
        """Return the entries that say who is affected: states that hold and drifts, or all when none is left."""
        holding = [e for e in self.entries.values() if e.is_open or e.is_news]
        return holding or list(self.entries.values())

    @property
    def identities(self) -> tuple[Affected, ...]:
        """Return the identities that are affected now and listed, most critical first."""
        by_id = {i.id: i for entry in self._shown for i in entry.finding.identities}
        return tuple(sorted(by_id.values(), key=lambda i: (CRITICALITY_ORDER[i.criticality], i.id)))

    @property
    def identity_count(self) -> int:
        """Return how many identities are affected now, at least: a finding lists the first 1,000 of them."""
        return max([len(self.identities), *(entry.finding.identity_count for entry in self._shown)])

    @property
    def identity_peak(self) -> int:
        """Return how many identities were affected when it was at its worst, at least."""
        peaks = (max(e.finding.identity_peak, e.finding.identity_count) for e in self.entries.values())
        return max(self.identity_count, *peaks)

    @property
    def left_because(self) -> str:
        """Return why states ended though nobody saw them heal, empty while one holds or where all were seen to."""
        states = sorted(
            (e for e in self.entries.values() if e.finding.kind is not Kind.DRIFT), key=lambda e: e.finding.opened_at
        )
        newest = {entry.finding.key: entry for entry in states}.values()
        if any(entry.is_open for entry in newest):
            return ""
        routed = [e.finding for e in newest if e.finding.confirmed and (e.receivers or not self.notified)]
        return "; ".join(dict.fromkeys(finding.closed_because for finding in routed if finding.closed_because))

    @property
    def ends_unproven(self) -> bool:
        """Return whether drift held it: a change does not heal, and its end says only that there was no more news.

        A change that somebody accepted is none of these.
        """
        return any(e.is_news and (e.receivers or not self.notified) for e in self.entries.values())

    @property
    def accepted_because(self) -> str:
        """Return who accepted changes as planned, and why; empty where nobody did."""
        held = [e.finding for e in self.entries.values() if e.receivers or not self.notified]
        return "; ".join(dict.fromkeys(one.closed_because for one in held if one.accepted_by))

    @property
    def story(self) -> Story:
        """Return what a receiver must know of the incident as it is."""
        live = [e for e in self.entries.values() if e.is_audible]
        people = {i.id: i for e in live for i in e.finding.identities}.values()
        return Story(
            lead=self.lead.code,
            severity=self.severity,
            owners=tuple(sorted({i.owner for i in people if i.owner})),
            criticality=self.criticality,
            drifts=tuple(sorted({e.finding.code for e in live if e.finding.kind is Kind.DRIFT})),
            names=tuple(sorted(_names_at_fault(live))),
            servers=tuple(sorted({server for e in live if e.receivers for server in e.finding.servers})),
            explains=self.explains,
            members=tuple(sorted(one.cause for one in self.members if one.is_open)),
            widened=self.widened,
        )

    @property
    def of_zone(self) -> bool:
        """Return whether a grave fault of the zone as a whole is among what may page."""
        return any(e.is_audible and e.receivers and _is_of_zone(e) for e in self.entries.values())

    @property
    def criticality(self) -> str:
        """Return that of the most critical identity that entries list that may page; empty where they list none."""
        found = {i.criticality for e in self.entries.values() if e.is_audible for i in e.finding.identities}
        return min(found, key=lambda criticality: CRITICALITY_ORDER[criticality], default="")

    @property
    def controls(self) -> tuple[Control, ...]:
        """Return the controls touched, each once."""
        by_key = {(c.framework, c.control): c for entry in self.entries.values() for c in entry.controls}
        return tuple(by_key.values())


def _names_at_fault(entries: Iterable[Entry]) -> set[str]:
    """Return the owner names at fault by themselves, with receivers; the analyzer distinguishes few of them.

    What a name shows as the zone as a whole does is no fault by itself; a cut below it is.
    """
    grave = [e for e in entries if e.is_open and e.receivers and e.severity.rank >= Severity.HIGH.rank]
    of_zone = {entry.finding.code for entry in grave if _is_of_zone(entry)}
    return {
        owner
        for entry in grave
        if (owner := owner_of(entry.finding.cause_rrset))
        and (entry.finding.code not in of_zone or entry.finding.cause_rrset.endswith(CUT))
    }


def _is_of_zone(entry: Entry) -> bool:
    """Return whether an entry is a grave fault of a zone as a whole: no owner name's, and no vantage's."""
    finding = entry.finding
    is_elsewhere = owner_of(finding.cause_rrset) or vantage_of(finding.cause_rrset)
    return entry.severity.rank >= Severity.HIGH.rank and bool(finding.cause_zone) and not is_elsewhere


def cause_of(finding: Finding) -> str:
    """Return what an incident is grouped by: the cause zone, or what else the finding hangs on."""
    return finding.cause_zone or vantage_of(finding.cause_rrset) or finding.cause_rrset or finding.code


def find_incident(
    finding: Finding, severity: Severity, open_incidents: Iterable[Incident], join: timedelta
) -> Incident | None:
    """Return the open incident that a finding belongs to, None if it begins a new one.

    A finding stays where it is. Otherwise it joins the incident on its cause if the same thing fires there with at
    least the same ``severity``, or if both began together: a fault long after a drift, or worse than what goes on
    there, is news, and must ring. What goes on at one owner name is another thing than a fault of another name or of
    the whole zone.
    """
    candidates = [i for i in open_incidents if i.cause == cause_of(finding)]
    for incident in candidates:
        if finding.id in incident.entries:
            return incident
    for incident in candidates:
        if _fires_for(incident, finding, severity) or _began_together(incident, finding, join):
            return incident
    return None


def _fires_for(incident: Incident, finding: Finding, severity: Severity) -> bool:
    """Return whether the same thing fires in an incident: of the same owner name, or of the zone as a whole.

    A zone whose signatures fail shows that by one delegation after the other; data of a name are another matter.
    """
    owners = {owner_of(finding.cause_rrset)}
    if finding.cause_rrset.endswith(CUT):
        owners.add("")
    return any(
        e.is_open and e.receivers and e.severity.rank >= severity.rank and owner_of(e.finding.cause_rrset) in owners
        for e in incident.entries.values()
    )


def _began_together(incident: Incident, finding: Finding, join: timedelta) -> bool:
    """Return whether a finding belongs to the same outbreak as an incident.

    A name that was wrong from the first poll on has not begun together with one that was right until now.
    """
    entries = [entry.finding for entry in incident.entries.values()]
    owners = {owner_of(one.cause_rrset) for one in (finding, *entries)}
    if len(owners) == 1:
        return finding.opened_at - incident.updated_at <= join
    # Other names that are in the news again and again must not keep the outbreak open for this one.
    if finding.opened_at - incident.opened_at > join:
        return False
    return any(_is_change(one) == _is_change(finding) for one in entries)


def _is_change(finding: Finding) -> bool:
    """Return whether things were right before the finding, as far as is known."""
    return finding.kind is Kind.DRIFT or bool(finding.before)


def begin_incident(finding: Finding) -> Incident:
    """Return an empty incident for a finding; its id is that of no other incident, and the same in a replay."""
    cause = cause_of(finding)
    return Incident(
        id=digest_of(cause, finding.id, str(finding.version))[:32],
        cause=cause,
        opened_at=finding.opened_at,
        updated_at=finding.updated_at,
    )


def take_finding(incident: Incident, entry: Entry) -> Incident:
    """Return the incident with a finding's newest version in it."""
    updated_at = max(incident.updated_at, entry.finding.updated_at)
    return msgspec.structs.replace(
        incident, entries={**incident.entries, entry.finding.id: entry}, updated_at=updated_at
    )


def is_over(incident: Incident, now: datetime, drift_hold: timedelta) -> bool:
    """Return whether nothing holds the incident open: no state, and no drift within ``drift_hold`` but accepted ones.

    Once somebody was notified, only entries with receivers hold it: a mild remark on the zone, which has none, must
    not keep the resolution from a pager.
    """
    entries = _holding(incident)
    if any(entry.is_open for entry in entries):
        return False
    drifts = [entry for entry in entries if entry.is_news]
    return all(now - entry.finding.updated_at > drift_hold for entry in drifts)


def held_until(incident: Incident, drift_hold: timedelta) -> datetime | None:
    """Return until when drift alone holds the incident open; None while a state holds it."""
    entries = _holding(incident)
    drifts = [entry.finding.updated_at for entry in entries if entry.is_news]
    if not drifts or any(entry.is_open for entry in entries):
        return None
    return max(drifts) + drift_hold


def _holding(incident: Incident) -> list[Entry]:
    return [e for e in incident.entries.values() if e.receivers or not incident.notified]
