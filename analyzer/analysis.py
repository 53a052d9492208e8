"""What observations and polls come to: pure. What must be known from the history is asked for, and handed in.

``needs`` says what a batch must be held against, ``take`` takes it in and returns rows to store and findings to send;
``load`` takes up where an earlier process stopped. Time is an argument.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from analyzer.batch import Batch, Counts, Knowledge, Needs, Stored
from analyzer.detected import Condition
from analyzer.endpoints.current import CurrentState
from analyzer.estate import Estate
from analyzer.findings.acts import Acts, check_acceptance, counting
from analyzer.findings.attribution import CauseKey
from analyzer.findings.blast import Consumers
from analyzer.findings.book import FindingBook
from analyzer.findings.changes import announcement_of
from analyzer.findings.environments import Environments
from analyzer.findings.radius import Radius
from analyzer.history import rows
from analyzer.inventory import Inventory
from analyzer.needs import needs_of, sightings_needed
from analyzer.self_reports import SelfReports
from analyzer.signatures import Signatures
from analyzer.watched_endpoints import WatchedEndpoints
from analyzer.watched_servers import WatchedServers
from analyzer.watched_zones import WatchedZones
from analyzer.zones.sweeps import SweptZones
from analyzer.zones.timeline import Timeline
from schemas.catalogue import Kind
from schemas.cause import CHANGE
from schemas.judgement import Judgement
from schemas.messages import (
    Act,
    Finding,
    InventoryIndex,
    InventorySnapshot,
    Message,
    Observation,
    PollBatch,
    SelfReport,
    Subject,
    ZoneObservation,
    ZoneSweep,
    utc,
)
from schemas.wire import id_of

EXPIRY_CHECK_S = 30.0
REANNOUNCE_CLOSED_WITHIN = timedelta(hours=24)


class Analysis:
    """Hands each message of a batch to the part that it concerns, and takes the findings that changed out of the book.

    State: the estate, the open findings, and what each part remembers; ``counts`` go on when an analysis begins anew.
    """

    def __init__(self, interval_s: float | None = None, counts: Counts | None = None) -> None:
        """``interval_s`` is how often each endpoint is to be polled; None where that is not known."""
        self.counts = counts or Counts()
        self._estate = estate = Estate()
        self._book = book = FindingBook(Radius(estate.consumers, estate.behind), estate.vantages)
        self._environments = Environments(estate.consumers)
        self._signatures = Signatures(estate, book)
        self._zones = WatchedZones(estate, book, self._signatures)
        self._servers = WatchedServers(estate, book, self.counts)
        self._endpoints = WatchedEndpoints(estate, book, self._zones, self._signatures, self._environments, self.counts)
        self._inventory = Inventory(estate, book, self._environments, self._endpoints, self._zones, self._servers)
        self._self_reports = SelfReports(estate, book, interval_s)
        self._expiry_checked_at = 0.0

    # what was known before

    def load(self, stored: Stored, now: float) -> list[Finding]:
        """Take up where an earlier process stopped; return the findings of the last day, to be announced again."""
        for identity_id, identity in stored.identities:
            self._estate.consumers.put(identity_id, identity)
        self._environments.load()
        self._signatures.restore(stored.renewals)
        self._estate.acts = Acts(counting(stored.acts, {finding.id: finding for finding in stored.accepted}))
        self._endpoints.restore(stored)
        self._zones.restore(stored.zones)
        self._servers.restore(stored.swept)
        open_keys = {(one.code, one.cause_zone, one.cause_rrset) for one in stored.open_findings}
        for finding in stored.open_findings:
            self._book.restore(finding, self._members_of(finding, utc(now), open_keys), utc(now))
            self._self_reports.restore(finding)
        for finding in stored.closed_findings:
            if finding.kind is Kind.DRIFT:  # accepted: seen from elsewhere, too, it is the same change
                self._book.restore(finding, (), utc(now))
        since = utc(now) - REANNOUNCE_CLOSED_WITHIN
        recent = [f for f in stored.open_findings if f.kind is not Kind.DRIFT or f.updated_at >= since]
        return sorted([*recent, *stored.closed_findings], key=lambda finding: finding.updated_at)

    def _members_of(
        self, finding: Finding, now: datetime, open_keys: Collection[CauseKey]
    ) -> Collection[tuple[Subject, Condition, datetime]]:
        """Return which subjects hold a finding open, and until when: those that show it, or else those it named."""
        key = (finding.code, finding.cause_zone, finding.cause_rrset)
        showing = [
            *self._endpoints.showing(key),
            *self._zones.showing(key),
            *self._signatures.showing(finding, now),
            *self._servers.showing(key, open_keys),
        ]
        return showing or self._endpoints.named(finding)

    def needs(self, batch: Sequence[Message]) -> Needs:
        """Return what must be known of the time before a batch, and of observations that its polls speak of."""
        return needs_of(batch, self._estate)

    def needs_sightings(
        self, batch: Sequence[Message], until: Mapping[Subject, datetime], baselines: Mapping[Subject, Judgement]
    ) -> dict[Subject, datetime]:
        """Return whose earlier answers a batch must be held against, and before when."""
        return sightings_needed(batch, until, baselines, self._estate.vantages)

    # what comes in

    def take(
        self, batch: Sequence[Message], knowledge: Knowledge, now: float, full: Mapping[str, str] | None = None
    ) -> Batch:
        """Take a batch in; an empty one means that time passed. ``full`` says why which disk is full, or nothing."""
        out = Batch()
        self._zones.recall(knowledge.zones)
        self._servers.recall(knowledge.swept)
        for message in batch:
            self._book.trigger = id_of(message)
            match message:
                case ZoneObservation():
                    self._zones.take(message, knowledge, out)
                case ZoneSweep():
                    self._servers.take(message, knowledge, out, utc(now))
                case Observation():
                    self._endpoints.take(message, knowledge, out)
                case PollBatch():
                    self._endpoints.take_polls(message, knowledge, out)
                case InventorySnapshot():
                    self._inventory.take(message, out)
                case InventoryIndex():
                    self._inventory.take_index(message, out)
                case SelfReport():
                    self._self_reports.take(message)
                case Act():
                    self._take_act(message, knowledge, out)
        self._book.trigger = "time"
        self._self_reports.check_disks(full or {}, utc(now))
        self._check_expiry(now)
        self._self_reports.check_reporters(now, is_idle=not batch)
        self._self_reports.check_gaps(now)
        for finding, trigger in self._book.take_changes(utc(now)):
            out.messages.append(finding)
            out.store("findings", rows.finding_row(finding, trigger))
        return out

    def _check_expiry(self, now: float) -> None:
        """Forget what nothing led to for an hour, and look at signatures that run out, at most every half minute."""
        if abs(now - self._expiry_checked_at) < EXPIRY_CHECK_S:
            return
        self._expiry_checked_at = now
        self._zones.drop_unclaimed(utc(now))
        self._servers.drop_unneeded(utc(now))
        self._signatures.look(now)

    def next_due_at(self) -> float | None:
        """Return when an empty batch may say something new, in POSIX seconds."""
        return self._signatures.next_at()

    # what people did

    def _take_act(self, message: Act, knowledge: Knowledge, out: Batch) -> None:
        if self.acts.knows(message):
            out.replayed.append(message.id)
            return
        out.store("acts", rows.act_row(message))
        finding = None
        if message.kind == "accept":
            finding = self._book.find_drift(message.subject) or knowledge.accepted.get(message.subject)
        problems = check_acceptance(message, finding) if message.kind == "accept" else []
        problems = problems or self.acts.put(message)
        out.acts.append((message, "; ".join(problems)))
        if problems:
            return
        if finding is not None:
            self._accept(message, finding)
        elif message.kind == "declare_change":
            announcement = announcement_of(message, f"{CHANGE}{message.subject}")
            for subject in self._meant_by(message.subject):
                self._book.drift(announcement, subject, message.at, "")

    def _accept(self, message: Act, finding: Finding) -> None:
        """Close a drift that somebody takes as planned; what is the case now is what later changes are held against."""
        if self._book.find_drift(finding.id) is None:
            self._book.restore(finding, (), message.at)
        because = f"accepted by {message.by}" + (f": {message.why}" if message.why else "")
        self._book.accept(message.subject, message.by, because, message.at)

    def _meant_by(self, name: str) -> list[Subject]:
        """Return what is watched of a zone, else of a name; what is not watched has nobody behind it."""
        estate = self._estate
        zones = [(name, "", vantage) for vantage in sorted(estate.vantages) if (name, "", vantage) in estate.zones]
        return zones or [subject for subject in estate.current if subject[0] == name] or [("", "", "")]

    # what is known

    @property
    def consumers(self) -> Consumers:
        """Return who consumes what."""
        return self._estate.consumers

    @property
    def current(self) -> CurrentState:
        """Return what is the case at each subject."""
        return self._estate.current

    @property
    def zones(self) -> Timeline:
        """Return what is the case in each zone."""
        return self._estate.zones

    @property
    def swept(self) -> SweptZones:
        """Return what is remembered of the servers of each zone."""
        return self._estate.swept

    @property
    def acts(self) -> Acts:
        """Return what people did that still counts."""
        return self._estate.acts

    @property
    def next_ends(self) -> dict[str, datetime]:
        """Return of the zones whose signatures end next, when they do: the soonest thousand."""
        return self._signatures.next_ends()

    def take_unknown(self) -> dict[Subject, str]:
        """Return whose polls spoke of an observation that had not arrived, and its id, since the last call."""
        return self._endpoints.take_unknown()

    def last_of(self, subject: Subject) -> str | None:
        """Return the observation that says what is the case at a subject, None if there is none."""
        current = self._estate.current.get(subject)
        return None if current is None else current.observation

    def findings(self) -> list[Finding]:
        """Return the open states, most severe first."""
        return self._book.open_findings()
