"""Which open incident explains another one, so that no page is sent for that. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from alerts.decision.incidents import Entry, Incident
from schemas.catalogue import Kind, Severity
from schemas.cause import is_of_chain

CLOCK = "self_clock_skew"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an open incident may explain: states of these endpoints through these vantages, to these receivers."""

    incident: str
    cause: str
    receivers: tuple[str, ...]
    endpoints: frozenset[str]
    vantages: frozenset[str]

    def covers(self, live: list[Entry]) -> bool:
        """Return whether it explains all of these entries; a list that is cut short is not explained."""
        return all(
            entry.finding.endpoints
            and entry.finding.endpoint_count <= len(entry.finding.endpoints)
            and self.endpoints.issuperset(entry.finding.endpoints)
            and self.vantages.issuperset(entry.finding.vantages)
            for entry in live
        )


def explanation_of(incident: Incident) -> Explanation | None:
    """Return what an incident explains, None unless it is open and has a confirmed critical fault of a chain."""
    if incident.ended_at is not None:
        return None
    faults = [entry.finding for entry in incident.entries.values() if _explains(entry)]
    if not faults:
        return None
    return Explanation(
        incident=incident.id,
        cause=incident.cause,
        receivers=incident.receivers,
        endpoints=frozenset(endpoint for finding in faults for endpoint in finding.endpoints),
        vantages=frozenset(vantage for finding in faults for vantage in finding.vantages),
    )


def _explains(entry: Entry) -> bool:
    finding = entry.finding
    critical = entry.severity is Severity.CRITICAL and entry.is_open and entry.is_live
    return critical and is_of_chain(finding.code, finding.cause_rrset)


def find_inhibitor(incident: Incident, explaining: Mapping[str, Explanation]) -> Explanation | None:
    """Return what explains an incident: our clock, or a broken chain of a zone above; ``explaining`` is by cause.

    The root is over a TLD is over a zone. It explains only endpoints whose own chain breaks there, as seen through the
    same vantages, and only states: a drift is no consequence of a broken chain.
    """
    if not explaining:
        return None
    live = [entry for entry in incident.entries.values() if entry.is_live]
    if any(entry.finding.kind is Kind.DRIFT for entry in live):
        return None
    for cause in (CLOCK, *_zones_above(incident.cause)):
        other = explaining.get(cause)
        if other is not None and other.incident != incident.id and other.covers(live):
            return other
    return None


def may_explain(upper: str, cause: str) -> bool:
    """Return whether an incident on cause ``upper`` may explain one on ``cause``."""
    return upper == CLOCK or upper in _zones_above(cause)


def _zones_above(zone: str) -> list[str]:
    """Return every zone name strictly above an absolute one, the nearest last; empty for what is no zone."""
    if not zone.endswith(".") or zone == ".":
        return []
    labels = zone[:-1].split(".")
    return [".", *(".".join(labels[n:]) + "." for n in range(len(labels) - 1, 0, -1))]
