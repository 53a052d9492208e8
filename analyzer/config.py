"""What the analyzer needs to know; the shell fills it from the configuration file."""

from pathlib import Path

import msgspec

from schemas.tls import TlsConfig


class HistoryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where the history is: ``chdb:PATH`` (relative to ``base``) or ``clickhouse://user@host:port/database``.

    tls: HTTPS instead of HTTP, None for HTTP.
    cluster: the ClickHouse cluster that the tables are made and replicated on, empty for one server.
    """

    url: str
    base: Path
    password: str = ""
    tls: TlsConfig | None = None
    cluster: str = ""
