"""Names that identities of production share with those of another environment, or that are answered from there. Pure.

What is not production is known from the inventory alone: a host that only identities of other environments consume,
and a network that only their rows allow (``answers``). An identity without an environment says nothing.

Source: OWASP Non-Human Identities Top 10 2025, NHI8 Environment Isolation.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from analyzer.detected import Condition
from analyzer.endpoints.current import Current
from analyzer.findings.blast import Consumers
from schemas.answers import address_of
from schemas.catalogue import CATALOGUE
from schemas.codes import Code
from schemas.judgement import Judgement, data_of
from schemas.messages import Identity, Subject

PRODUCTION = frozenset({"prod", "production", "prd", "live"})
NEGATED = frozenset({"non", "not", "pre"})
SHOWN = 3


def is_production(environment: str) -> bool:
    """Return whether an environment's name says production: ``prod``, ``Production``, ``prod-eu``, not ``pre-prod``."""
    words = set(re.split(r"[^a-z0-9]+", environment.lower()))
    return bool(words & PRODUCTION) and not words & NEGATED


def is_other(environment: str) -> bool:
    """Return whether it names an environment that is not production."""
    return bool(environment.strip()) and not is_production(environment)


class Environments:
    """Which observed names several environments consume, and which networks only other ones than production allow."""

    def __init__(self, consumers: Consumers) -> None:
        self._consumers = consumers
        self._mixed: dict[str, str] = {}
        self._networks: dict[tuple[int, int], dict[int, Counter[bool]]] = {}

    def __bool__(self) -> bool:
        return bool(self._mixed)

    def change(self, earlier: Identity | None, now: Identity | None) -> None:
        """Take in that an identity has changed, after the consumers did."""
        for identity, step in ((earlier, -1), (now, 1)):
            if identity is not None:
                self._count_networks(identity, step)
        self.look({endpoint.host for one in (earlier, now) if one is not None for endpoint in one.endpoints})

    def look(self, hosts: Iterable[str]) -> None:
        """Note of hosts whether several environments consume them now."""
        for host in hosts:
            identities = self._consumers.consumers_of(host)
            ours = [one.id for one in identities if is_production(one.environment)]
            others = [f"{one.id} ({one.environment})" for one in identities if is_other(one.environment)]
            if ours and others:
                self._mixed[f"{host}."] = f"{_some(ours)} of production, and by {_some(others)}"
            else:
                self._mixed.pop(f"{host}.", None)

    def load(self) -> None:
        """Take in all identities, which the consumers have."""
        for identity in self._consumers.all():
            self._count_networks(identity, 1)
        self.look(self._consumers.shared_hosts())

    def shared(self, subject: Subject, current: Current) -> Iterator[Condition]:
        """Yield that identities of production and of another environment consume a name."""
        who = self._mixed.get(subject[0])
        if who is not None and current.validated:
            detail = f"{subject[0]} is consumed by {who}"
            yield _condition(subject[0], current.chain, detail, subject[2])

    def answered(self, judgement: Judgement) -> Iterator[Condition]:
        """Yield that a name of production is answered from a place of another environment."""
        if not any(is_production(one.environment) for one in self._consumers.consumers_of(judgement.name)):
            return
        chain = [link.zone for link in judgement.chain]
        for link in judgement.links:
            consumers = self._consumers.consumers_of(link.target) if link.target else []
            if consumers and all(is_other(one.environment) for one in consumers):
                who = _some([f"{one.id} ({one.environment})" for one in consumers])
                detail = f"{judgement.name} of production leads to {link.target}, which only {who} consume"
                yield _condition(judgement.name, chain, detail, judgement.vantage)
                return
        foreign = sorted(data for data in data_of(judgement.answers, judgement.type) if self._is_elsewhere(data))
        if foreign:
            where = f"{_some(foreign)}, in a network that only rows of other environments allow"
            detail = f"{judgement.name} of production is answered from {where}"
            yield _condition(judgement.name, chain, detail, judgement.vantage)

    def _count_networks(self, identity: Identity, step: int) -> None:
        if not identity.environment.strip():
            return
        for entry in {entry for endpoint in identity.endpoints for entry in endpoint.answers if "/" in entry}:
            try:
                network = ipaddress.ip_network(entry, strict=False)
            except ValueError:
                continue  # data of another type
            networks = self._networks.setdefault((network.version, network.prefixlen), {})
            counts = networks.setdefault(int(network.network_address), Counter())
            counts[is_production(identity.environment)] += step
            if not any(counts.values()):
                del networks[int(network.network_address)]

    def _is_elsewhere(self, data: str) -> bool:
        """Return whether rows of other environments allow the network of an address, and none of production does."""
        address = address_of(data) if self._networks else None
        if address is None:
            return False
        allowing: Counter[bool] = Counter()
        for (version, length), networks in self._networks.items():
            if version == address.version:
                unused = address.max_prefixlen - length
                allowing += networks.get(int(address) >> unused << unused, Counter())
        return bool(allowing[False]) and not allowing[True]


def _condition(name: str, chain: Collection[str], detail: str, vantage: str) -> Condition:
    above = [zone for zone in chain if zone == "." or name == zone or name.endswith("." + zone)]
    row = CATALOGUE[Code.ENVIRONMENT_MIXED]
    return Condition(row.code, max(above, key=len, default=name), name, row.severity, detail, vantage)


def _some(items: Collection[str]) -> str:
    shown = sorted(items)[:SHOWN]
    return ", ".join(shown) + (f" and {len(items) - SHOWN} more" if len(items) > SHOWN else "")
