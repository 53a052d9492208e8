"""What the analyzer needs to know; the shell fills it from the configuration file."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from schemas.egress import DIRECT, Egress
from schemas.faults import ConfigError
from schemas.redaction import safe
from schemas.tls import TlsConfig

HTTP_PORT, HTTPS_PORT = 8123, 8443
DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
SERVER_FORM = "clickhouse://user@host:port/database"


class HistoryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where the history is: ``chdb:PATH`` (relative to ``base``) or ``clickhouse://user@host:port/database``.

    tls: HTTPS instead of HTTP, None for HTTP.
    cluster: the ClickHouse cluster that the tables are made and replicated on, empty for one server.
    egress: how a server is reached, and whom to trust where ``tls`` names no authorities.
    """

    url: str
    base: Path
    password: str = ""
    tls: TlsConfig | None = None
    cluster: str = ""
    egress: Egress = DIRECT


class ServerAddress(msgspec.Struct, frozen=True):
    """What a ``clickhouse://`` URL says."""

    host: str
    port: int
    user: str
    database: str

    @property
    def place(self) -> str:
        """Return host:port as it is written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def server_of(config: HistoryConfig) -> ServerAddress:
    """Return the server that the history is on.

    Raises:
        ConfigError: the URL has another form; a password in it is not repeated.
    """
    try:
        parts = urlsplit(config.url)
        port = parts.port
    except ValueError as error:
        raise ConfigError([f"history.url: it is no URL; {SERVER_FORM} is expected"]) from error
    if parts.password:
        raise ConfigError(["history.url: a password is no part of the URL: put it in a file, history.password_file"])
    database = parts.path.strip("/") or "anchorwatch"
    problems = []
    if parts.scheme != "clickhouse" or not parts.hostname:
        problems.append(f"history.url: {safe(config.url)} is not {SERVER_FORM}")
    if not DATABASE.fullmatch(database):
        problems.append(f"history.url: {safe(database)} can't be a database: letters, digits, '_' and '-' are expected")
    if parts.query or parts.fragment:
        problems.append("history.url: nothing may follow the database in the URL")
    if problems:
        raise ConfigError(problems)
    return ServerAddress(
        host=parts.hostname or "",
        port=port or (HTTPS_PORT if config.tls else HTTP_PORT),
        user=unquote(parts.username or "default"),
        database=database,
    )
