"""``history``: where verdicts and evidence are kept."""

from pathlib import Path
from typing import Annotated

import msgspec

from analyzer.config import HistoryConfig, server_of
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Section, TlsSection, read_secret_file, read_tls
from schemas.egress import Egress
from schemas.faults import ConfigError


class HistorySection(Section, frozen=True, kw_only=True):
    """Where the verdict history is; all but the URL is for a server."""

    url: str = "chdb:data"
    password_file: str = ""
    tls: TlsSection | None = None
    cluster: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{0,100}$")] = ""


def read_history(section: HistorySection, base: Path, egress: Egress, document: Document) -> HistoryConfig:
    """Return how to reach the history."""
    if not section.url.startswith(("chdb:", "clickhouse://")):
        document.problem("history.url", "chdb:PATH or clickhouse://user@host:port/database is expected")
    password = ""
    if section.password_file:
        password = read_secret_file(base / section.password_file, "history.password_file", document)
    tls = read_tls(section.tls, "history.tls", base, document)
    history = HistoryConfig(
        url=section.url, base=base, password=password, tls=tls, cluster=section.cluster, egress=egress
    )
    if section.url.startswith("clickhouse://"):
        try:
            server_of(history)
        except ConfigError as error:
            for problem in error.problems:
                document.problem("history.url", problem.removeprefix("history.url: "))
    return history


def data_folder(history_url: str, base: Path) -> Path:
    """Return where this process keeps what is not in the history."""
    return base / history_url.removeprefix("chdb:") if history_url.startswith("chdb:") else base / "data"
