"""The blast radius of a finding: which endpoints it affects, and which identities consume them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from heapq import nsmallest

import msgspec

from analyzer.detected import SERVERS
from analyzer.findings.blast import Consumers, shortened
from schemas.catalogue import Kind, Scope, codes_where
from schemas.cause import INFRASTRUCTURE, is_of_name
from schemas.messages import Finding, Subject

MAX_ENDPOINTS_LISTED = 1000
# What befalls a zone as a whole, so that every name behind it is affected.
ZONE_WIDE = codes_where(lambda row: row.kind is Kind.DRIFT and row.scope is Scope.ZONE)
Behind = Callable[[str, str, datetime | None], Iterable[Iterable[Subject]]]


class Radius:
    """Draws the blast radius from what holds a finding open.

    ``behind`` returns by chain the subjects that lead through a zone as a vantage sees it, without a vantage as any
    does; with an instant, only those not polled since.
    """

    def __init__(self, consumers: Consumers, behind: Behind) -> None:
        self._consumers, self._behind = consumers, behind

    def draw(self, finding: Finding, members: Mapping[Subject, object]) -> Finding:
        """Return the finding with whom it affects, as far as is known."""
        vantages = {vantage for _, _, vantage in members if vantage}
        affected = self._affected(finding, members, vantages)
        if (
            len({vantage for _, _, vantage in affected}) > 1
        ):  # one name and type through several vantages is one endpoint
            affected = {(name, rdtype, "") for name, rdtype, _ in affected}
        identities = self._consumers.affected_by({name for name, _, _ in affected})
        listed = nsmallest(MAX_ENDPOINTS_LISTED, affected)
        return msgspec.structs.replace(
            finding,
            vantages=tuple(sorted(vantages)),
            endpoints=tuple(f"{name} {rdtype}" for name, rdtype, _ in listed),
            endpoint_count=len(affected),
            identities=shortened(identities),
            identity_count=len(identities),
            endpoint_peak=max(finding.endpoint_peak, len(affected)),
            identity_peak=max(finding.identity_peak, len(identities)),
        )

    def _affected(self, finding: Finding, members: Mapping[Subject, object], vantages: Iterable[str]) -> set[Subject]:
        """Return every endpoint that shows it or lies behind a zone that does."""
        found: set[Subject] = set()
        for member in members:
            name, rdtype, vantage = member
            if rdtype == SERVERS:
                found.update(self._behind_servers(name, finding.cause_rrset))
            elif name and rdtype:
                found.add(member)
            elif name:
                found.update(*self._behind(name, vantage, None))
        zone, since = "", None
        if finding.code in ZONE_WIDE:
            zone = finding.cause_zone
        elif finding.cause_rrset.endswith(INFRASTRUCTURE):
            zone, since = finding.cause_rrset.rpartition(" ")[0], finding.opened_at
        for vantage in vantages if zone else ():
            if (zone, "", vantage) not in members:
                found.update(*self._behind(zone, vantage, since))
        return found

    def _behind_servers(self, zone: str, cause_rrset: str) -> Iterable[Subject]:
        """Yield what servers of a zone affect: each endpoint behind it, whatever the vantage, or the one name."""
        if is_of_name(cause_rrset):
            owner, _, rdtype = cause_rrset.partition(" ")
            yield (owner, rdtype, "")
            return
        for subjects in self._behind(zone, "", None):
            yield from subjects
