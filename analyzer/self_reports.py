"""What is wrong with ourselves: what stages report, disks that are full, and endpoints that nobody polls."""

from collections.abc import Mapping
from datetime import datetime

from analyzer.detected import Condition, Drift, condition_of
from analyzer.endpoints.conditions import of_vantage
from analyzer.endpoints.gaps import Gaps
from analyzer.estate import Estate
from analyzer.findings.attribution import CauseKey
from analyzer.findings.book import FindingBook
from analyzer.reporters import Reporters
from schemas.catalogue import CATALOGUE, Kind
from schemas.codes import Code
from schemas.messages import Finding, SelfReport, Subject, utc

DISK_FULL = Code.SELF_DISK_FULL
GAP_CHECK_S = 60.0
OF_VANTAGE = frozenset({Code.SELF_VANTAGE_LOST, Code.SPOOFING_SUSPECTED})


class SelfReports:
    """State: why each disk is full, as it was reported last, who reports what, and when gaps were looked for."""

    def __init__(self, estate: Estate, book: FindingBook, interval_s: float | None) -> None:
        self._estate, self._book = estate, book
        self._full: dict[str, str] = {}
        self._reporters = Reporters()
        self._gaps = Gaps(estate.current, interval_s) if interval_s is not None else None
        self._gaps_looked_at = 0.0

    def restore(self, finding: Finding) -> None:
        """Take up what an open finding says that an earlier process reported."""
        if finding.code == Code.SELF_VANTAGE_LOST:
            self._estate.lost.update(finding.vantages)
        if finding.code == DISK_FULL:
            self._full[finding.cause_rrset] = finding.detail
        if finding.reporters:
            vantage = finding.vantages[0] if finding.code in OF_VANTAGE and finding.vantages else ""
            self._reporters.restore(condition_of(finding), vantage, finding.reporters)

    def take(self, message: SelfReport) -> None:
        """Take in what a stage reports of itself, or of a vantage; one without a detail ends what was reported."""
        row = CATALOGUE[Code(message.code)]
        if row.kind is Kind.DRIFT:
            if message.detail:
                edge = Drift(message.code, "", message.subject, row.severity, message.detail, "", "")
                self._book.drift(edge, ("", "", ""), message.at, "")
            return
        if message.code in OF_VANTAGE:
            condition = of_vantage(row.code, message.subject, message.detail)
        else:
            condition = Condition(message.code, "", message.subject, row.severity, message.detail)
        self._tell(self._reporters.take(condition, message.by), condition.key, message.at)

    def check_reporters(self, now: float, *, is_idle: bool) -> None:
        """End what is reported by processes that report nothing any more, while others do; ``is_idle``: nothing came.

        That is said: nobody knows whether it is over.
        """
        for condition, because in self._reporters.look(now, is_idle=is_idle):
            self._tell(condition, condition.key, utc(now), because)

    def _tell(self, condition: Condition, key: CauseKey, at: datetime, because: str = "") -> None:
        """Have a finding say what is reported now; a condition without a detail is over."""
        over, subjects = not condition.detail, list[Subject]()
        if key[0] == Code.SELF_VANTAGE_LOST:
            subjects = [subject for subject in self._estate.current if subject[2] == condition.vantage]
            (self._estate.lost.discard if over else self._estate.lost.add)(condition.vantage)
        self._book.report(condition, subjects, at, over=over, because=because)

    def check_disks(self, full: Mapping[str, str], now: datetime) -> None:
        """Report a disk that is full, once, and again when it has room."""
        for name, why in full.items():
            if why != self._full.get(name, ""):
                self._full[name] = why
                self.take(SelfReport(code=DISK_FULL, subject=name, at=now, detail=why))

    def check_gaps(self, now: float) -> None:
        """Report endpoints that are not polled while others are, one finding a vantage, at most once a minute."""
        if self._gaps is None or abs(now - self._gaps_looked_at) < GAP_CHECK_S:
            return
        self._gaps_looked_at = now
        estate = self._estate
        late = self._gaps.look(utc(now), estate.consumers.subjects(tuple(estate.vantages)), self._is_expected)
        for vantage in estate.vantages if late is not None else ():
            # A vantage that is lost has a finding of its own.
            missed = [subject for subject in late or () if subject[2] == vantage and vantage not in estate.lost]
            such = ", ".join(f"{name} {rdtype}" for name, rdtype, _ in missed[:3])
            minutes = self._gaps.patience.total_seconds() / 60
            detail = f"{len(missed)} endpoints were not polled through {vantage} for {minutes:.0f} minutes: {such}"
            self._book.hold(of_vantage(Code.SELF_OBSERVATION_GAP, vantage, detail), missed, utc(now))

    def _is_expected(self, subject: Subject) -> bool:
        return subject[2] in self._estate.vantages and self._estate.is_watched(subject)
