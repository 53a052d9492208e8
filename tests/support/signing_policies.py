"""How the servers of `signers.py` are configured: policies in seconds, and what a zone's own differs in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TLD = "quay."
ABOVE, KNOT, BIND = "127.0.0.31", "127.0.0.32", "127.0.0.1"
TTL_S = DS_TTL_S = 8
"""Longer than the differences between polls, so that an instant that was foretold says something."""

KNOT_BASE = """\
server:
  listen: {address}@{port}
  rundir: "{folder}"
  udp-workers: 1
  tcp-workers: 1
  background-workers: 2
control:
  listen: "{folder}/knot.ctl"
log:
  - target: stderr
    any: info
database:
  storage: "{folder}/db"
acl:
  - id: here
    address: 127.0.0.0/8
    action: [update, transfer]
remote:
  - id: parent
    address: {above}@{port}
submission:
  - id: parent
    parent: parent
    check-interval: 1s
    parent-delay: {parent_delay}s
template:
  - id: default
    storage: "{folder}"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
policy:
"""
KNOT_POLICY = "  - id: {id}\n    ksk-lifetime: 0\n    zsk-lifetime: 0\n    rrsig-lifetime: 14d\n    rrsig-refresh: 7d\n"
KNOT_ZONE = (
    '  - domain: {zone}\n    file: "{file}"\n    dnssec-signing: on\n    dnssec-policy: {policy}\n    acl: here\n'
)
NAMED = """\
options {{
  directory "{folder}"; pid-file "named.pid"; session-keyfile "session.key"; managed-keys-directory "{folder}";
  listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }};
  recursion no; notify no; dnssec-validation no; max-cache-size 8M;
}};
include "rndc.key";
controls {{ inet {address} port {control_port} allow {{ 127.0.0.0/8; }} keys {{ "rndc-key"; }}; }};
"""
NAMED_POLICY = """\
dnssec-policy "{id}" {{
  dnskey-ttl {dnskey_ttl}; max-zone-ttl {max_zone_ttl}; parent-ds-ttl {parent_ds_ttl};
  zone-propagation-delay PT1S; parent-propagation-delay PT1S; publish-safety PT1S; retire-safety PT1S;
  signatures-validity {validity}; signatures-validity-dnskey P14D; signatures-refresh {refresh}; signatures-jitter PT1S;
  keys {{ ksk lifetime unlimited algorithm {algorithm}; zsk lifetime unlimited algorithm {algorithm}; }};
}};
"""
NAMED_ZONE = """\
zone "{zone}" {{
  type primary; file "{file}"; key-directory "{keys}"; dnssec-policy "{zone}"; inline-signing yes;
}};
"""
UNBOUND = """\
server:
  interface: 127.0.0.1
  port: {port}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  do-ip6: no
  num-threads: 1
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "{anchors}"
  trust-anchor-signaling: no
  ede: yes
  val-log-level: 2
remote-control:
  control-enable: no
"""
UNBOUND_STUB = 'stub-zone:\n  name: "{zone}"\n  stub-addr: {address}@{port}\n'
CONFIG = """\
inventory: [{{path: inventory.yaml}}]
vantages: [{{name: authoritative, resolver: "authoritative:"}}, {{name: cache, resolver: "udp://127.0.0.1:{cache}"}}]
authoritative: {{hints: named.root, port: {port}, allow_private: true, sweep: 2s, rate: 2000, total_rate: 4000}}
trust_anchors: {{path: root.ds}}
poll: {{interval: 1s}}
"""


@dataclass(frozen=True)
class KnotZone:
    """A zone that Knot signs. ``policy`` are the settings that differ; ``ttl_s`` is that of its data."""

    policy: Mapping[str, str] = field(default_factory=dict)
    ttl_s: int = TTL_S

    def settings(self) -> dict[str, str]:
        """Return its policy: seconds, obeyed by a zone whose data and whose DS live no longer."""
        return {
            "algorithm": "ecdsap256sha256",
            "dnskey-ttl": f"{TTL_S}s",
            "zone-max-ttl": f"{TTL_S}s",
            "propagation-delay": "2s",
            "ksk-submission": "parent",
            "ds-push": "parent",
            "cds-cdnskey-publish": "rollover",
            **self.policy,
        }


@dataclass(frozen=True)
class BindZone:
    """A zone that BIND signs. ``policy`` are the settings that differ; ``ds_ttl_s`` is that of its DS set."""

    policy: Mapping[str, str] = field(default_factory=dict)
    ds_ttl_s: int = DS_TTL_S

    def settings(self) -> dict[str, str]:
        """Return its policy: seconds, obeyed by a zone whose data and whose DS live no longer."""
        return {
            "algorithm": "ecdsap256sha256",
            "dnskey_ttl": str(TTL_S),
            "max_zone_ttl": str(TTL_S),
            "parent_ds_ttl": str(DS_TTL_S),
            "validity": "P14D",
            "refresh": "P7D",
            **self.policy,
        }


def knot_text(folder: Path, address: str, port: int, zones: Mapping[str, Mapping[str, str]]) -> str:
    """Return the configuration of a Knot that signs these zones, each by a policy of its own."""
    ids = {zone: zone.rstrip(".") or "root" for zone in zones}
    text = KNOT_BASE.format(address=address, port=port, folder=folder, above=ABOVE, parent_delay=DS_TTL_S + 2)
    for zone, settings in zones.items():
        text += KNOT_POLICY.format(id=ids[zone])
        text += "".join(f"    {name}: {value}\n" for name, value in settings.items() if value)
    text += "zone:\n"
    return text + "".join(KNOT_ZONE.format(zone=zone, file=f"{name}.zone", policy=name) for zone, name in ids.items())


def named_text(folder: Path, port: int, control_port: int, zones: Mapping[str, BindZone]) -> str:
    """Return the configuration of a BIND that signs these zones, each by a policy and with a key folder of its own."""
    text = NAMED.format(folder=folder, address=BIND, port=port, control_port=control_port)
    for zone, one in zones.items():
        name = zone.rstrip(".")
        text += NAMED_POLICY.format(id=zone, **one.settings())
        text += NAMED_ZONE.format(zone=zone, file=folder / f"{name}.zone", keys=folder / name)
    return text


def unbound_text(folder: Path, port: int, anchors: Path, stubs: Mapping[str, str], stub_port: int) -> str:
    """Return the configuration of an Unbound that knows the address of each zone's server."""
    text = UNBOUND.format(folder=folder, port=port, anchors=anchors)
    return text + "".join(UNBOUND_STUB.format(zone=zone, address=at, port=stub_port) for zone, at in stubs.items())


def anchorwatch_text(cache_port: int, port: int) -> str:
    """Return the configuration of an anchorwatch that asks the servers, and the cache."""
    return CONFIG.format(cache=cache_port, port=port)
