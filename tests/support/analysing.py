"""The parts of the analysis by themselves: a shared estate and book, and what their findings come to."""

from datetime import datetime

from analyzer.batch import Batch, Counts, Knowledge
from analyzer.estate import Estate
from analyzer.findings.book import FindingBook
from analyzer.findings.environments import Environments
from analyzer.findings.radius import Radius
from analyzer.signatures import Signatures
from analyzer.watched_endpoints import WatchedEndpoints
from analyzer.watched_servers import WatchedServers
from analyzer.watched_zones import WatchedZones
from schemas.messages import Endpoint, Finding, FindingStatus, Identity
from tests.support.making import AT


class Parts:
    """An estate in which one identity consumes hosts, and the parts that watch it."""

    def __init__(self, *hosts: str) -> None:
        self.estate = estate = Estate()
        self.book = book = FindingBook(Radius(estate.consumers, estate.behind), estate.vantages)
        self.signatures = Signatures(estate, book)
        self.zones = WatchedZones(estate, book, self.signatures)
        self.counts = Counts()
        self.servers = WatchedServers(estate, book, self.counts)
        environments = Environments(estate.consumers)
        self.endpoints = WatchedEndpoints(estate, book, self.zones, self.signatures, environments, self.counts)
        hosts = hosts or ("api.bank.example",)
        endpoints = tuple(Endpoint(host=host, types=("A",)) for host in hosts)
        estate.consumers.put("sa", Identity(id="sa", endpoints=endpoints))
        environments.load()
        self.knowledge, self.out = Knowledge(), Batch()
        self.found: dict[str, Finding] = {}

    def settle(self, at: datetime = AT) -> dict[str, FindingStatus]:
        """Take what changed out of the book; return of each code where its last finding is in its life."""
        self.found |= {finding.code: finding for finding, _ in self.book.take_changes(at)}
        return {code: finding.status for code, finding in self.found.items()}
