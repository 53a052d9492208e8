"""One file, strict, to what each stage needs to know; every problem at once.

Relative paths are relative to the file; secrets are only ever named by ``*_file``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from alerts.config import AlertsConfig
from alerts.decision.coverage import find_gaps
from alerts.receivers.types import AnyReceiver
from analyzer.config import HistoryConfig
from analyzer.findings.changes import Plan
from anchorwatch.configuration.alerts import AlertsSection, check_bus_receivers, check_ledger, read_alerts
from anchorwatch.configuration.anchors import AnchorsSection, read_anchors
from anchorwatch.configuration.authoritative import AuthoritativeSection, read_authoritative
from anchorwatch.configuration.bus import BusSection, read_bus
from anchorwatch.configuration.changes import ChangeSection, read_changes
from anchorwatch.configuration.digests import AnalyzerApi, DigestsSection, read_digests
from anchorwatch.configuration.documents import Document, decode_struct, read_document
from anchorwatch.configuration.heartbeat import HeartbeatConfig, HeartbeatSection, read_heartbeat
from anchorwatch.configuration.history import HistorySection, data_folder, read_history
from anchorwatch.configuration.http import HttpSection, find_open_doors, read_http, read_public_url
from anchorwatch.configuration.inventory import SourceSection, read_sources
from anchorwatch.configuration.maintenance import MaintenanceSection, read_maintenance
from anchorwatch.configuration.outbound import OutboundSection, read_outbound
from anchorwatch.configuration.polling import PollSection, read_policy
from anchorwatch.configuration.receivers import read_receivers
from anchorwatch.configuration.routes import RouteSection
from anchorwatch.configuration.values import Section, read_seconds
from anchorwatch.configuration.vantages import VantageSection, read_vantages
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.web.config import HttpConfig
from collector.config import CollectorConfig
from collector.dnssec.policy import Policy
from schemas.egress import DIRECT, Egress
from schemas.faults import ConfigError


class LogSection(Section, frozen=True, kw_only=True):
    """How much is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class FileSections(Section, frozen=True, kw_only=True):
    """The whole file."""

    inventory: tuple[SourceSection, ...]
    inventory_state: str = ""
    vantages: tuple[VantageSection, ...] = ()
    authoritative: AuthoritativeSection | None = None
    trust_anchors: AnchorsSection | None = None
    poll: PollSection = PollSection()
    collectors: Annotated[int, msgspec.Meta(ge=0, le=256)] | None = None
    policy: Policy = Policy()
    unsigned_zones: tuple[str, ...] = ()
    bus: BusSection = BusSection()
    history: HistorySection = HistorySection()
    alerts: AlertsSection = AlertsSection()
    receivers: tuple[AnyReceiver, ...] = ()
    routes: tuple[RouteSection, ...] = ()
    route: RouteSection | None = None
    digests: DigestsSection | None = None
    changes: tuple[ChangeSection, ...] = ()
    maintenance: tuple[MaintenanceSection, ...] = ()
    http: HttpSection = HttpSection()
    outbound: OutboundSection = OutboundSection()
    heartbeat: HeartbeatSection | None = None
    log: LogSection = LogSection()


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What the stages and the shell need; ``base`` is the folder that relative paths start from.

    ``collectors`` is how many processes poll for ``run``; 0: none but itself, None: as this machine has cores for.

    ``digests_from`` is the analyzer that digests ask, None for that of this process.
    ``bus`` is None where all stages are in one process. ``changes`` are those that are declared. ``warnings`` are
    sentences on what can be used, but will leave somebody without a notification.
    """

    base: Path
    collector: CollectorConfig
    collectors: int | None = None
    alerts: AlertsConfig
    bus: KafkaConfig | None
    history: HistoryConfig
    http: HttpConfig
    log: LogSection
    egress: Egress = DIRECT
    heartbeat: HeartbeatConfig | None = None
    digests_from: AnalyzerApi | None = None
    changes: tuple[Plan, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def listen(self) -> tuple[str, int]:
        """Return where the HTTP side listens."""
        return self.http.host, self.http.port


def load_config(path: Path, *, rules: Sequence[Path] = ()) -> Config:
    """Read the configuration; ``rules`` are rule files that count instead of those that it names.

    Raises:
        ConfigError: anything in it, or in a file that it names, can't be used; all problems, each with file and line.
    """
    return read_config(path, rules=rules)[1]


def read_config(path: Path, *, rules: Sequence[Path] = ()) -> tuple[FileSections, Config]:
    """Read the configuration; return its sections as they are written, and what they mean.

    Raises:
        ConfigError: as for ``load_config``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: can't be read: {getattr(error, 'strerror', None) or error}"]) from error
    document = read_document(text, str(path))
    sections = decode_struct(document.value, FileSections, "", document) if not document.problems else None
    if sections is None:
        raise ConfigError(document.problems)
    if rules:
        named = tuple(str(one.absolute()) for one in rules)
        sections = msgspec.structs.replace(sections, alerts=msgspec.structs.replace(sections.alerts, rules=named))
    config = assemble(sections, path.resolve().parent, document)
    if document.problems:
        raise ConfigError(document.problems)
    return sections, config


def assemble(sections: FileSections, base: Path, document: Document) -> Config:
    """Return what the sections mean; ``base`` is where relative paths start. What is wrong is noted in the document."""
    egress = read_outbound(sections.outbound, base, document)
    receivers = read_receivers(sections.receivers, base, document)
    data = data_folder(sections.history.url, base)
    alerts = read_alerts(sections.alerts, sections.routes, sections.route, receivers, base, data, document)
    alerts = msgspec.structs.replace(alerts, maintenance=read_maintenance(sections.maintenance, document))
    public_url = read_public_url(sections.http, document)
    alerts = msgspec.structs.replace(alerts, public_url=public_url)
    http = read_http(sections.http, base, document, egress, public_url)
    check_ledger(sections.alerts, sections.bus.url, sections.bus.prefix, document)
    digests, digests_from = read_digests(sections.digests, receivers, sections.bus.url, base, document)
    alerts = msgspec.structs.replace(alerts, digests=digests)
    check_bus_receivers(receivers, sections.bus.url, document)
    return Config(
        base=base,
        collector=_read_collector(sections, base, egress, document),
        collectors=sections.collectors,
        alerts=alerts,
        bus=read_bus(sections.bus, base, document),
        history=read_history(sections.history, base, egress, document),
        http=http,
        log=sections.log,
        egress=egress,
        heartbeat=read_heartbeat(sections.heartbeat, base, document),
        digests_from=digests_from,
        changes=read_changes(sections.changes, document),
        warnings=(*find_gaps(alerts), *find_open_doors(http)),
    )


def _read_collector(sections: FileSections, base: Path, egress: Egress, document: Document) -> CollectorConfig:
    poll = sections.poll
    state = data_folder(sections.history.url, base) / "inventory-state"
    if sections.inventory_state:
        state = base / sections.inventory_state
    vantages = read_vantages(sections.vantages, base, document)
    authorities = read_authoritative(sections.authoritative, vantages, base, document)
    return CollectorConfig(
        sources=read_sources(sections.inventory, base, state, egress, document),
        state=state,
        vantages=vantages,
        authorities=authorities,
        anchors=read_anchors(sections.trust_anchors, base, document),
        anchors_path=base / sections.trust_anchors.path if sections.trust_anchors is not None else None,
        policy=read_policy(sections.policy, sections.unsigned_zones, document),
        interval_s=read_seconds(poll.interval, "poll.interval", document, least=1.0),
        refresh_s=read_seconds(poll.refresh, "poll.refresh", document, least=1.0),
        claim_every=poll.claim_every,
        concurrency=poll.concurrency,
        timeout_s=read_seconds(poll.timeout, "poll.timeout", document, least=0.05),
        attempts=poll.attempts,
        egress=egress,
        changes_per_hour=poll.changes_per_hour,
        shadow_every=poll.shadow_every,
    )
