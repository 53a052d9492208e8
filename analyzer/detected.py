"""What is detected: a condition lasts, a drift happens."""

from dataclasses import dataclass
from datetime import timedelta

from schemas.catalogue import CATALOGUE, Severity
from schemas.codes import Code
from schemas.messages import Finding

SERVERS = "servers"
"""In the place of a record type: the zone as all of its servers show it, whatever vantages see of it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong: code, cause and severity. Equal keys are one finding.

    ``lag`` is for how long caches may still show it though nothing is wrong: it is not confirmed before.
    ``servers`` are the authoritative servers at fault, where it is known which; ``reporters`` the processes of ours
    that report it of themselves. ``owner`` is the owner name that shows what is told as the fault of a whole zone or
    vantage.
    """

    code: str
    cause_zone: str
    cause_rrset: str
    severity: Severity
    detail: str
    vantage: str = ""
    lag: timedelta = timedelta()
    servers: tuple[str, ...] = ()
    reporters: tuple[str, ...] = ()
    owner: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what the finding is known by; never anything that depends on time."""
        return self.code, self.cause_zone, self.cause_rrset


@dataclass(frozen=True, slots=True)
class Drift:
    """One edge between two observations. Equal (code, cause, before, after) seen from several places are one event.

    ``of_entry``: it is a step of the secure-entry keys or of the DS set. ``is_planned``: somebody declared such a step.
    """

    code: str
    cause_zone: str
    cause_rrset: str
    severity: Severity
    detail: str
    before: str
    after: str
    servers: tuple[str, ...] = ()
    of_entry: bool = False
    is_planned: bool = False


def condition_of(finding: Finding) -> Condition:
    """Return the condition that a finding tells of."""
    return Condition(finding.code, finding.cause_zone, finding.cause_rrset, finding.severity, finding.detail)


def drift_of(
    code: Code,
    zone: str,
    detail: str,
    before: str,
    after: str,
    severity: Severity | None = None,
    rrset: str = "",
    servers: tuple[str, ...] = (),
) -> Drift:
    """Return a drift, of the catalogue's severity where none is given."""
    return Drift(code, zone, rrset, severity or CATALOGUE[code].severity, detail, before, after, servers)
