"""One file, strict, to what each stage needs to know; every problem at once.

Relative paths are relative to the file; secrets are only ever named by ``*_file``.
"""

import re
import ssl
from importlib import resources
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from alerts.config import AlertsConfig, ControlMapping, Match, Route, Rule
from alerts.decision.coverage import find_gaps
from alerts.decision.frameworks import check_mappings
from analyzer.config import HistoryConfig, server_of
from anchorwatch.configuration.documents import Document, decode_struct, read_document
from anchorwatch.configuration.egress import configured_egress
from anchorwatch.configuration.receivers import ReceiverSection, read_receivers
from anchorwatch.configuration.values import Section, TlsSection, read_seconds, read_secret_file, read_share, read_tls
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.web.config import HttpConfig, is_loopback
from anchorwatch.web.doors import split_authority
from anchorwatch.web.session import check_token
from collector.config import CollectorConfig, Source, VantagePoint
from collector.dnssec import names
from collector.dnssec.anchors import IANA, TrustAnchors, parse_anchors
from collector.dnssec.policy import Policy
from collector.inventory.documents import SUFFIXES
from collector.inventory.store import Store
from collector.resolvers.address import parse_address, system_resolvers
from schemas.catalogue import CATALOGUE
from schemas.egress import DIRECT, Egress
from schemas.faults import ConfigError
from schemas.redaction import safe, without_quoted

RESOLV_CONF = Path("/etc/resolv.conf")
Natural = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class SourceSection(Section, frozen=True, kw_only=True):
    """One inventory source."""

    path: str
    format: Literal["yaml", "csv", "json", "txt"] | None = None
    max_shrink: str | float = "20%"
    accept_after: str = "24h"


class VantageSection(Section, frozen=True, kw_only=True):
    """One resolver."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    resolver: str


class AnchorsSection(Section, frozen=True, kw_only=True):
    """Where the trust anchors are."""

    path: str


class PollSection(Section, frozen=True, kw_only=True):
    """How often and how hard the vantages are asked."""

    interval: str = "60s"
    refresh: str = "24h"
    claim_every: Natural = 10
    concurrency: Natural = 128
    timeout: str = "1500ms"
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    changes_per_hour: Natural = 12


class SaslSection(Section, frozen=True, kw_only=True):
    """How to log in to Kafka."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    user: str
    password_file: str


class BusSection(Section, frozen=True, kw_only=True):
    """Where the stages meet; all but the URL is for Kafka."""

    url: str = "local:"
    prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "anchorwatch"
    partitions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 12
    replication: Annotated[int, msgspec.Meta(ge=1, le=9)] | None = None
    session_timeout: str = "10s"
    tls: TlsSection | None = None
    sasl: SaslSection | None = None


class HistorySection(Section, frozen=True, kw_only=True):
    """Where the verdict history is; all but the URL is for a server."""

    url: str = "chdb:data"
    password_file: str = ""
    tls: TlsSection | None = None
    cluster: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{0,100}$")] = ""


class AlertsSection(Section, frozen=True, kw_only=True):
    """Rules, and how insistent the alerts are."""

    rules: tuple[str, ...] = ()
    ledger: str = ""
    repeat: str = "4h"
    drift_hold: str = "24h"
    join: str = "15m"
    max_attempts: Natural = 8


class HttpSection(Section, frozen=True, kw_only=True):
    """Where API, metrics and pages are served."""

    listen: str = "127.0.0.1:8053"
    hosts: tuple[str, ...] = ()
    token_file: str = ""
    behind_proxy: tuple[str, ...] = ()
    protect_metrics: bool = False


class OutboundSection(Section, frozen=True, kw_only=True):
    """How everything that leaves the process leaves it; what is not said comes from the environment."""

    proxy: str = ""
    no_proxy: tuple[str, ...] | None = None
    proxy_user_file: str = ""
    ca_file: str = ""


class HeartbeatSection(Section, frozen=True, kw_only=True):
    """Who is called while all goes well, and notices when the calls cease."""

    url: str = ""
    url_file: str = ""
    interval: str = "60s"


class LogSection(Section, frozen=True, kw_only=True):
    """How much is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class FileSections(Section, frozen=True, kw_only=True):
    """The whole file."""

    inventory: tuple[SourceSection, ...]
    inventory_state: str = ""
    vantages: tuple[VantageSection, ...] = ()
    trust_anchors: AnchorsSection | None = None
    poll: PollSection = PollSection()
    policy: Policy = Policy()
    unsigned_zones: tuple[str, ...] = ()
    bus: BusSection = BusSection()
    history: HistorySection = HistorySection()
    alerts: AlertsSection = AlertsSection()
    receivers: tuple[ReceiverSection, ...] = ()
    routes: tuple[Route, ...] = ()
    http: HttpSection = HttpSection()
    outbound: OutboundSection = OutboundSection()
    heartbeat: HeartbeatSection | None = None
    log: LogSection = LogSection()


class HeartbeatConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to call, and how often; the URL is a secret: who knows it can keep the other side calm."""

    url: str
    interval_s: float = 60.0

    def __repr__(self) -> str:
        return f"HeartbeatConfig(interval_s={self.interval_s!r})"


def is_web_url(url: str) -> bool:
    """Return whether something can be called there."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What the stages and the shell are told; ``base`` is the folder that relative paths start from.

    ``bus`` is None where all stages are in one process. ``warnings`` are sentences on what can be used, but will leave
    somebody untold.
    """

    base: Path
    collector: CollectorConfig
    alerts: AlertsConfig
    bus: KafkaConfig | None
    history: HistoryConfig
    http: HttpConfig
    log: LogSection
    egress: Egress = DIRECT
    heartbeat: HeartbeatConfig | None = None
    warnings: tuple[str, ...] = ()

    @property
    def listen(self) -> tuple[str, int]:
        """Return where the HTTP side listens."""
        return self.http.host, self.http.port


class RulesFile(Section, frozen=True, kw_only=True):
    """A rule file."""

    rules: tuple[Rule, ...]


class MappingsFile(Section, frozen=True, kw_only=True):
    """The framework mapping."""

    mappings: tuple[ControlMapping, ...]


def load_config(path: Path) -> Config:
    """Read the configuration.

    Raises:
        ConfigError: anything in it, or in a file that it names, can't be used; all problems, each with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: can't be read: {getattr(error, 'strerror', None) or error}"]) from error
    document = read_document(text, str(path))
    sections = decode_struct(document.value, FileSections, "", document) if not document.problems else None
    if sections is None:
        raise ConfigError(document.problems)
    config = _assemble(sections, path.resolve().parent, document)
    if document.problems:
        raise ConfigError(document.problems)
    return config


def _assemble(sections: FileSections, base: Path, document: Document) -> Config:
    poll = sections.poll
    egress = _egress(sections.outbound, base, document)
    alerts = _alerts(sections, base, document)
    zones = sections.policy.negative_trust_anchors + sections.unsigned_zones
    for number, zone in enumerate(sections.unsigned_zones):
        try:
            names.from_text(zone)
        except ValueError as error:
            document.problem(f"unsigned_zones[{number}]", f"{safe(zone)}: {without_quoted(str(error))}")
    state = _data_folder(sections.history.url, base) / "inventory-state"
    if sections.inventory_state:
        state = base / sections.inventory_state
    collector = CollectorConfig(
        sources=tuple(_sources(sections, base, state, document)),
        state=state,
        vantages=tuple(_vantages(sections, document)),
        anchors=_anchors(sections, base, document),
        policy=msgspec.structs.replace(sections.policy, negative_trust_anchors=zones),
        interval_s=read_seconds(poll.interval, "poll.interval", document, least=1.0),
        refresh_s=read_seconds(poll.refresh, "poll.refresh", document, least=1.0),
        claim_every=poll.claim_every,
        concurrency=poll.concurrency,
        timeout_s=read_seconds(poll.timeout, "poll.timeout", document, least=0.05),
        attempts=poll.attempts,
        egress=egress,
        changes_per_hour=poll.changes_per_hour,
    )
    return Config(
        base=base,
        collector=collector,
        alerts=alerts,
        bus=_bus(sections.bus, base, document),
        history=msgspec.structs.replace(_history(sections.history, base, document), egress=egress),
        http=_http(sections.http, base, document),
        log=sections.log,
        egress=egress,
        heartbeat=_heartbeat(sections.heartbeat, base, document),
        warnings=tuple(find_gaps(alerts)),
    )


def _egress(section: OutboundSection, base: Path, document: Document) -> Egress:
    user = ""
    if section.proxy_user_file:
        user = read_secret_file(base / section.proxy_user_file, "outbound.proxy_user_file", document)
    ca_path = str(base / section.ca_file) if section.ca_file else ""
    if ca_path:
        try:
            ssl.create_default_context(cafile=ca_path)
        except OSError as error:
            why = "it holds no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            document.problem("outbound.ca_file", f"{ca_path} can't be used: {why}")
            ca_path = ""
    egress, problems = configured_egress(section.proxy, section.no_proxy, user, ca_path)
    document.problems.extend(problems)
    return egress


def _heartbeat(section: HeartbeatSection | None, base: Path, document: Document) -> HeartbeatConfig | None:
    if section is None:
        return None
    if bool(section.url) == bool(section.url_file):
        document.problem("heartbeat", "say either 'url' or 'url_file'")
    url = section.url
    if section.url_file:
        url = read_secret_file(base / section.url_file, "heartbeat.url_file", document)
    if url and not is_web_url(url):
        where = "heartbeat.url" if section.url else "heartbeat.url_file"
        document.problem(where, "a URL begins with https:// (or http://) and names a host")
    interval_s = read_seconds(section.interval, "heartbeat.interval", document, least=1.0)
    return HeartbeatConfig(url=url, interval_s=interval_s)


def _bus(section: BusSection, base: Path, document: Document) -> KafkaConfig | None:
    if section.url == "local:":
        return None
    brokers = _brokers(section.url)
    if not brokers:
        document.problem("bus.url", f"{safe(section.url)} is neither 'local:' nor kafka://host:port,host:port")
    sasl = section.sasl
    return KafkaConfig(
        brokers=brokers,
        prefix=section.prefix,
        partitions=section.partitions,
        replication=section.replication,
        session_timeout_s=read_seconds(section.session_timeout, "bus.session_timeout", document, least=6.0),
        tls=read_tls(section.tls, "bus.tls", base, document),
        mechanism=sasl.mechanism if sasl else "",
        user=sasl.user if sasl else "",
        password=read_secret_file(base / sasl.password_file, "bus.sasl.password_file", document) if sasl else "",
    )


def _brokers(url: str) -> tuple[str, ...]:
    """Return ``kafka://host:9092,host2`` as host:port each, empty where it is no such URL."""
    scheme, separator, rest = url.partition("://")
    if scheme != "kafka" or not separator:
        return ()
    found = []
    for part in rest.rstrip("/").split(","):
        host, colon, port = part.rpartition(":") if re.search(r":\d+$", part) else (part, ":", "9092")
        if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host) or not colon or not 0 < int(port) < 65536:
            return ()
        found.append(f"{host}:{port}")
    return tuple(found)


def _history(section: HistorySection, base: Path, document: Document) -> HistoryConfig:
    if not section.url.startswith(("chdb:", "clickhouse://")):
        document.problem("history.url", "chdb:PATH or clickhouse://user@host:port/database is expected")
    password = ""
    if section.password_file:
        password = read_secret_file(base / section.password_file, "history.password_file", document)
    tls = read_tls(section.tls, "history.tls", base, document)
    history = HistoryConfig(url=section.url, base=base, password=password, tls=tls, cluster=section.cluster)
    if section.url.startswith("clickhouse://"):
        try:
            server_of(history)
        except ConfigError as error:
            for problem in error.problems:
                document.problem("history.url", problem.removeprefix("history.url: "))
    return history


def _sources(sections: FileSections, base: Path, state: Path, document: Document) -> list[Source]:
    found: list[Source] = []
    if not sections.inventory:
        document.problem("inventory", "at least one source is needed")
    for number, section in enumerate(sections.inventory):
        path = base / section.path
        format_name = section.format or SUFFIXES.get(path.suffix.lower())
        if format_name is None:
            document.problem(f"inventory[{number}]", f"{section.path}: say 'format: yaml', 'csv' or 'json' (or 'txt')")
            continue
        if not path.is_file() and not Store(state).is_known(path):
            document.problem(f"inventory[{number}].path", f"there is no file {path}")
        if any(one.path == path for one in found):
            document.problem(f"inventory[{number}].path", f"{section.path} is there twice")
        accept_after = read_seconds(section.accept_after, f"inventory[{number}].accept_after", document, least=1.0)
        shrink = read_share(section.max_shrink, f"inventory[{number}].max_shrink", document)
        found.append(Source(path=path, format=format_name, max_shrink=shrink, accept_after_s=accept_after))
    return found


def _data_folder(history_url: str, base: Path) -> Path:
    """Return where this process keeps what is not in the history."""
    return base / history_url.removeprefix("chdb:") if history_url.startswith("chdb:") else base / "data"


def _vantages(sections: FileSections, document: Document) -> list[VantagePoint]:
    found: list[VantagePoint] = []
    for number, section in enumerate(sections.vantages):
        try:
            address = parse_address(section.resolver)
        except ValueError as error:
            document.problem(f"vantages[{number}].resolver", str(error))
            continue
        if any(point.name == section.name for point in found):
            document.problem(f"vantages[{number}].name", f"{safe(section.name)} is there twice")
        found.append(VantagePoint(name=section.name, address=address))
    if sections.vantages:
        return found
    found = default_vantages()
    if not found:
        document.problem("vantages", f"none given, and {RESOLV_CONF} names no resolver")
    return found


def default_vantages() -> list[VantagePoint]:
    """Return the system's resolvers as vantages, each named by its address; empty when there are none."""
    try:
        text = RESOLV_CONF.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [VantagePoint(name=f"system-{address.host}", address=address) for address in system_resolvers(text)]


def _anchors(sections: FileSections, base: Path, document: Document) -> TrustAnchors:
    if sections.trust_anchors is None:
        return parse_anchors(IANA, "shipped")
    try:
        return read_anchor_file(base / sections.trust_anchors.path)
    except ValueError as error:
        for line in str(error).splitlines():
            document.problem("trust_anchors.path", line)
        return TrustAnchors({})


def read_anchor_file(path: Path) -> TrustAnchors:
    """Return the anchors in a file.

    Raises:
        ValueError: it can't be read, is empty, or has a line that is no anchor; one sentence a line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_anchors(text, str(path))


def _alerts(sections: FileSections, base: Path, document: Document) -> AlertsConfig:
    alerts = sections.alerts
    receivers = read_receivers(sections.receivers, base, document)
    rules = (
        tuple(rule for one in alerts.rules for rule in _rules(base / one, document))
        if alerts.rules
        else shipped_rules()
    )
    _check_ledger(sections, document)
    known = {receiver.name for receiver in receivers}
    for number, route in enumerate(sections.routes):
        _check_match(route.match, f"routes[{number}].match", document)
        if route.receiver not in known:
            document.problem(f"routes[{number}].receiver", f"there is no receiver {safe(route.receiver)}")
    for rule in rules:
        if rule.receiver and rule.receiver not in known:
            document.problem(
                "alerts.rules", f"rule {safe(rule.name)} names receiver {safe(rule.receiver)}, which is not there"
            )
    return AlertsConfig(
        rules=rules,
        routes=sections.routes,
        receivers=receivers,
        mappings=shipped_mappings(),
        ledger=base / alerts.ledger if alerts.ledger else _default_ledger(sections.history.url, base),
        repeat_s=read_seconds(alerts.repeat, "alerts.repeat", document, least=1.0),
        drift_hold_s=read_seconds(alerts.drift_hold, "alerts.drift_hold", document, least=1.0),
        join_s=read_seconds(alerts.join, "alerts.join", document, least=0.0),
        max_attempts=alerts.max_attempts,
    )


def _check_ledger(sections: FileSections, document: Document) -> None:
    if sections.alerts.ledger and sections.bus.url != "local:":
        document.problem(
            "alerts.ledger", f"over Kafka the ledger is the topic {sections.bus.prefix}.ledger: leave it out"
        )


def _default_ledger(history_url: str, base: Path) -> Path:
    return _data_folder(history_url, base) / "alerts.sqlite"


def _check_match(match: Match, path: str, document: Document) -> None:
    for code in match.code:
        if code not in CATALOGUE:
            document.problem(f"{path}.code", f"there is no finding {safe(code)}")


def _rules(path: Path, document: Document) -> tuple[Rule, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        document.problem("alerts.rules", f"{path} can't be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")
        return ()
    rules, problems = parse_rules(text, str(path))
    document.problems.extend(problems)
    return rules


def parse_rules(text: str, source: str) -> tuple[tuple[Rule, ...], list[str]]:
    """Return the rules in a file and every problem in it."""
    document = read_document(text, source)
    if document.problems:
        return (), document.problems
    parsed = decode_struct(document.value, RulesFile, "", document)
    if parsed is None:
        return (), document.problems
    for number, rule in enumerate(parsed.rules):
        _check_match(rule.match, f"rules[{number}].match", document)
    return parsed.rules, document.problems


def shipped_rules() -> tuple[Rule, ...]:
    """Return the rules that come with anchorwatch."""
    rules, problems = parse_rules(_shipped("rules.yaml"), "alerts/rules.yaml")
    if problems:
        raise ConfigError(problems)
    return rules


def shipped_mappings() -> tuple[ControlMapping, ...]:
    """Return the framework mapping that comes with anchorwatch."""
    document = read_document(_shipped("frameworks.yaml"), "alerts/frameworks.yaml")
    parsed = decode_struct(document.value, MappingsFile, "", document) if not document.problems else None
    problems = document.problems or check_mappings(parsed.mappings if parsed else (), CATALOGUE)
    if problems or parsed is None:
        raise ConfigError(problems)
    return parsed.mappings


def _shipped(name: str) -> str:
    return resources.files("alerts").joinpath(name).read_text(encoding="utf-8")


def _http(section: HttpSection, base: Path, document: Document) -> HttpConfig:
    host, port = _listen(section.listen, document)
    token = read_secret_file(base / section.token_file, "http.token_file", document) if section.token_file else ""
    if token and (why := check_token(token)):
        document.problem("http.token_file", why)
    hosts = set()
    for number, text in enumerate(section.hosts):
        try:
            name, named_port = split_authority(text)
        except ValueError as error:
            document.problem(f"http.hosts[{number}]", f"{text[:80]!r} is {error}")
            continue
        if named_port is not None:
            document.problem(f"http.hosts[{number}]", f"{text[:80]!r}: the name alone is expected, without a port")
        hosts.add(name)
    proxies = []
    for number, text in enumerate(section.behind_proxy):
        try:
            proxies.append(ip_network(text))
        except ValueError:
            document.problem(f"http.behind_proxy[{number}]", f"{text[:80]!r} is no network such as 10.0.0.0/24")
    if not is_loopback(host) and not section.token_file and not section.behind_proxy:
        document.problem(
            "http.listen",
            f"others can reach {section.listen!r}: name http.token_file, or in http.behind_proxy the networks of the"
            " proxy that asks people to log in",
        )
    return HttpConfig(
        host=host,
        port=port,
        hosts=frozenset(hosts),
        token=token,
        proxies=tuple(proxies),
        protect_metrics=section.protect_metrics,
    )


def _listen(text: str, document: Document) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        document.problem("http.listen", f"{text!r} is no address such as 127.0.0.1:8053")
        return "127.0.0.1", 0
    return host.strip("[]") or "127.0.0.1", int(port)
