"""What ``run --check-config --online`` asks: resolvers, the history, and receivers as far as that pages nobody."""

import asyncio
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from alerts.receivers.receiver import Receiver
    from anchorwatch.configuration.loading import Config

PATIENCE_S = 5.0
PORTS = {"http": 80, "https": 443, "clickhouse": 8123, "smtp": 25, "kafka": 9092, "tcp": 601, "tls": 6514}


def check_online(config: "Config") -> list[str]:
    """Say of each part whether it answers; return a sentence for each that does not."""
    problems = []
    for part, why_not in (*_resolvers(config), *_history(config), *_receivers(config)):
        click.echo(f"{part}: {why_not or 'fine'}")
        if why_not:
            problems.append(f"{part}: {why_not}")
    return problems


def _resolvers(config: "Config") -> Iterator[tuple[str, str]]:
    """Yield each vantage, with why it does not prove the root's key set."""
    from anchorwatch.judging import Settings, judge_one
    from schemas.judgement import Verdict

    collector = config.collector
    settings = Settings(collector.anchors, collector.policy, egress=config.egress)
    for vantage in collector.vantages:
        judged = asyncio.run(judge_one(vantage, settings, ".", "DNSKEY", claim=False))
        reasons = "; ".join(f"{one.code}: {one.detail}" for one in judged.reasons)
        yield f"vantage {vantage.name}", "" if judged.verdict is Verdict.SECURE else f"{judged.verdict}: {reasons}"


def _history(config: "Config") -> Iterator[tuple[str, str]]:
    if config.history.url.startswith("clickhouse:"):
        yield "history", why_no_connection(config.history.url)


def _receivers(config: "Config") -> Iterator[tuple[str, str]]:
    for receiver in config.alerts.receivers:
        yield f"receiver {receiver.name}", why_unreachable(receiver, config)


def why_unreachable(receiver: "Receiver", config: "Config", patience_s: float = PATIENCE_S) -> str:
    """Return why a receiver can't be reached as far as that can be asked without paging, empty if it can."""
    where = receiver.where
    if not where:
        return ""
    if where.startswith("file://"):
        folder = Path(where.removeprefix("file://")).parent
        return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} can't be written"
    if "://" not in where:
        return "" if shutil.which(where) else f"{where} can't be run"
    if where.startswith("udp:"):
        return ""  # it would answer nothing
    proxy = config.egress.proxy_for(where) if where.startswith("http") else ""
    return why_no_connection(proxy or where, patience_s)


def why_no_connection(url: str, patience_s: float = PATIENCE_S) -> str:
    """Return why nobody takes a connection there, empty where somebody does; no address with a secret is shown."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443)
    try:
        with socket.create_connection((host, port), timeout=patience_s):
            return ""
    except OSError as error:
        return f"{host}:{port} takes no connection ({error.strerror or type(error).__name__})"
