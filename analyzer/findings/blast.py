"""Who is behind an endpoint: the blast radius of a finding."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from schemas.messages import CRITICALITY_ORDER, Affected, Endpoint, Identity, Subject

MAX_IDENTITIES_LISTED = 1000
MAX_HOSTS_LISTED = 50


class Consumers:
    """The inventory turned round: from host to the identities that consume it."""

    def __init__(self) -> None:
        self._identities: dict[str, Identity] = {}
        self._by_host: dict[str, set[str]] = {}

    def put(self, identity_id: str, identity: Identity | None) -> set[tuple[str, str]]:
        """Take in an identity as it is now; None: it is gone. Return the (host, type) that nobody consumes any more."""
        earlier = self._identities.pop(identity_id, None)
        for host in {endpoint.host for endpoint in earlier.endpoints} if earlier else ():
            self._by_host[host].remove(identity_id)
            if not self._by_host[host]:
                del self._by_host[host]
        if identity is not None:
            self._identities[identity_id] = identity
            for endpoint in identity.endpoints:
                self._by_host.setdefault(endpoint.host, set()).add(identity_id)
        dropped = {(e.host, rdtype) for e in (earlier.endpoints if earlier else ()) for rdtype in e.types}
        return {(host, rdtype) for host, rdtype in dropped if not self.endpoints_at(host, rdtype)}

    def get(self, identity_id: str) -> Identity | None:
        """Return an identity as it is now, None if it is not there."""
        return self._identities.get(identity_id)

    def all(self) -> list[Identity]:
        """Return every identity, by id."""
        return [self._identities[key] for key in sorted(self._identities)]

    def consumers_of(self, name: str) -> list[Identity]:
        """Return the identities that consume an observed name, by id."""
        return [self._identities[key] for key in sorted(self._by_host.get(name.rstrip("."), ()))]

    def endpoints_of(self, name: str) -> list[Endpoint]:
        """Return the inventory's entries for an observed name, whatever types they ask for."""
        host = name.rstrip(".")
        return [one for identity in self.consumers_of(name) for one in identity.endpoints if one.host == host]

    def endpoints_at(self, name: str, rdtype: str) -> list[Endpoint]:
        """Return the inventory's entries for an observed name and type."""
        return [endpoint for endpoint in self.endpoints_of(name) if rdtype in endpoint.types]

    def shared_hosts(self) -> list[str]:
        """Return the hosts that several identities consume."""
        return [host for host, ids in self._by_host.items() if len(ids) > 1]

    def subjects(self, vantages: Collection[str]) -> Iterator[Subject]:
        """Yield what somebody consumes, through each of the vantages; what several consume comes several times."""
        for identity in self.all():
            for endpoint in identity.endpoints:
                for rdtype in endpoint.types:
                    for vantage in vantages:
                        yield f"{endpoint.host}.", rdtype, vantage

    def affected_by(self, names: Iterable[str]) -> tuple[Affected, ...]:
        """Return the identities that consume any of the names, most critical first, each with the hosts it consumes."""
        hosts_by_id: defaultdict[str, list[str]] = defaultdict(list)
        consumers = self._by_host.get
        for host in {name.rstrip(".") for name in names}:
            for identity_id in consumers(host, ()):
                hosts_by_id[identity_id].append(host)
        affected = []
        for identity_id, found in hosts_by_id.items():
            hosts = set(found)
            identity = self._identities[identity_id]
            affected.append(
                Affected(
                    id=identity.id,
                    kind=identity.kind,
                    owner=identity.owner,
                    environment=identity.environment,
                    criticality=identity.criticality,
                    hosts=tuple(sorted(hosts)[:MAX_HOSTS_LISTED]),
                    purposes=tuple(sorted({e.purpose for e in identity.endpoints if e.host in hosts and e.purpose})),
                )
            )
        return tuple(sorted(affected, key=lambda one: (CRITICALITY_ORDER[one.criticality], one.id)))


def shortened(affected: Sequence[Affected], most: int = MAX_IDENTITIES_LISTED) -> tuple[Affected, ...]:
    """Return at most so many identities in their order; whatever a rule may match on is still there among them."""
    if len(affected) <= most:
        return tuple(affected)
    first: dict[tuple[object, ...], Affected] = {}
    for one in affected:
        first.setdefault((one.owner, one.environment, one.criticality, one.kind, one.purposes), one)
    chosen = dict.fromkeys(one.id for one in (*first.values(), *affected))
    kept = set(list(chosen)[:most])
    return tuple(one for one in affected if one.id in kept)
