"""Who joins the inventory and who leaves it: what is watched, and what is forgotten."""

from datetime import datetime

from analyzer.batch import Batch
from analyzer.estate import Estate
from analyzer.findings.book import FindingBook
from analyzer.findings.environments import Environments
from analyzer.history import rows
from analyzer.watched_endpoints import WatchedEndpoints
from analyzer.watched_servers import WatchedServers
from analyzer.watched_zones import WatchedZones
from schemas.messages import InventoryIndex, InventorySnapshot, Subject


class Inventory:
    """Brings the estate into line with the inventory; has no state of its own."""

    def __init__(
        self,
        estate: Estate,
        book: FindingBook,
        environments: Environments,
        endpoints: WatchedEndpoints,
        zones: WatchedZones,
        servers: WatchedServers,
    ) -> None:
        self._estate, self._book, self._environments = estate, book, environments
        self._endpoints, self._zones, self._servers = endpoints, zones, servers

    def take(self, message: InventorySnapshot, out: Batch) -> None:
        """Take in an identity as it is now, or that it is gone."""
        consumers, vantages = self._estate.consumers, self._estate.vantages
        earlier = consumers.get(message.id)
        is_new = earlier != message.identity
        orphans = consumers.put(message.id, message.identity)
        if is_new:
            self._environments.change(earlier, message.identity)
        out.store("identities", rows.identity_row(message))
        for endpoint in message.identity.endpoints if message.identity is not None and is_new else ():
            for rdtype in endpoint.types:
                for vantage in vantages:
                    self._grow((f"{endpoint.host}.", rdtype, vantage))
        because = f"no longer watched: removed from {message.source or 'the inventory'}"
        for subject in [(f"{host}.", rdtype, vantage) for host, rdtype in orphans for vantage in vantages]:
            self._forget(subject, message.seen_at, because)

    def take_index(self, message: InventoryIndex, out: Batch) -> None:
        """Drop who is in the inventory no more, be it that we were not running when they left."""
        estate = self._estate
        if message.vantages:
            estate.vantages.clear()
            estate.vantages.update(message.vantages)
            for subject in [s for s in estate.current if s[2] not in estate.vantages]:
                because = f"no longer watched: the vantage {subject[2]} was removed from the configuration"
                self._forget(subject, message.seen_at, because)
        if message.ids is None:
            return
        present = set(message.ids)
        for identity in estate.consumers.all():
            if identity.id not in present:
                self.take(InventorySnapshot(id=identity.id, seen_at=message.seen_at, identity=None), out)

    def _grow(self, subject: Subject) -> None:
        """Have the findings that a subject is affected by drawn again: more depends on it than did."""
        current = self._estate.current.get(subject)
        if current is not None:
            for one in (subject, *((zone, "", subject[2]) for zone in current.zones)):
                self._book.grow(one)

    def _forget(self, subject: Subject, at: datetime, because: str) -> None:
        estate, (name, rdtype, vantage) = self._estate, subject
        current = estate.current.get(subject)
        self._endpoints.forget(subject, at, because)
        if current is None:
            return
        for zone in current.zones:
            of_zone = (zone, "", vantage)
            if of_zone in estate.zones and not estate.current.is_through(zone, vantage):
                self._book.forget(of_zone, at, because)
            self._servers.forget(name, rdtype, zone, at, because)
        self._zones.drop(current.zones, vantage, at)
