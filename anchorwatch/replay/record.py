"""What happened in a run: steps, findings, notifications, verdicts, restarts, each with its time. Pure."""

from dataclasses import dataclass, field

from alerts.delivery.delivery import Delivery
from schemas.messages import Finding, Message, Observation, Subject


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened to the world or to the monitor, in words."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a poll said that was something new."""

    at: float
    verdict: str
    reasons: tuple[str, ...]


@dataclass
class FindingStory:
    """One finding from its first message to its last: all its versions, with the times at which they were told."""

    versions: list[tuple[float, Finding]] = field(default_factory=list)

    @property
    def last(self) -> Finding:
        """Return its newest version."""
        return self.versions[-1][1]

    @property
    def opened_at(self) -> float:
        """Return when it was first told of, confirmed or not."""
        return self.versions[0][0]

    @property
    def confirmed_at(self) -> float | None:
        """Return when it was first told as confirmed, None if it never was."""
        return next((at for at, one in self.versions if one.confirmed), None)

    @property
    def closed_at(self) -> float | None:
        """Return when it was closed, None while it is open."""
        return self.versions[-1][0] if self.last.status == "closed" else None

    @property
    def severity(self) -> str:
        """Return the highest severity that it had."""
        return str(max((one.severity for _, one in self.versions), key=lambda severity: severity.rank))


@dataclass
class Record:
    """Everything that happened; times are seconds since the start, by the true clock."""

    happened: list[Happened] = field(default_factory=list)
    findings: dict[str, FindingStory] = field(default_factory=dict)
    arrived: dict[str, list[tuple[float, Delivery]]] = field(default_factory=dict)
    seen: dict[Subject, list[Seen]] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    polls: int = 0
    lasts_s: float = 0.0

    def note(self, at: float, text: str) -> None:
        """Note something that happened."""
        self.happened.append(Happened(at, text))

    def take_observed(self, messages: list[Message], now: float) -> None:
        """Note the verdicts of observations."""
        for message in messages:
            if isinstance(message, Observation):
                judgement = message.judgement
                reasons = tuple(reason.code for reason in judgement.reasons)
                self.seen.setdefault(message.subject, []).append(Seen(now, str(judgement.verdict), reasons))

    def take_findings(self, findings: list[Message], now: float) -> None:
        """Note findings; a version that is told again after a restart is nothing new."""
        for finding in findings:
            if isinstance(finding, Finding):
                story = self.findings.setdefault(finding.id, FindingStory())
                if not story.versions or finding.version > story.last.version:
                    story.versions.append((now, finding))

    def verdict_at(self, subject: Subject, at: float) -> Seen | None:
        """Return what a subject showed at an instant, None before it was seen."""
        return next((seen for seen in reversed(self.seen.get(subject, ())) if seen.at <= at), None)
