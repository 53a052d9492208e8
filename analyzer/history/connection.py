"""Open ClickHouse: the embedded engine, or a server over HTTP or HTTPS. Nobody else opens the client.

A single server and a cluster are spoken to alike; only the definitions differ (see ``migrations``). With a cluster
the URL names one replica, or a balancer that stays with one: then everybody reads what they wrote. We ask for no quorum
(``insert_quorum``): of two replicas it would need both, so that the loss of one ends the watch, while a replica that
comes back catches up by itself. Who wants it anyway sets it in the user's profile on the server.
"""

import fcntl
import importlib.util
import logging
import os
import socket
import ssl
from pathlib import Path
from typing import IO, Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.exceptions import ProtocolError

from analyzer.config import HistoryConfig, ServerAddress, server_of
from analyzer.history.migrations import define
from analyzer.history.server_faults import DATABASE_ERRORS, NO_RIGHTS, causes_of, explain_refusal, sentence_of, unusable
from schemas.egress import with_user
from schemas.faults import ConfigError

CONNECT_S, READ_S = 5, 60
OLDEST_SERVER = "25.8"  # what clickhouse-connect supports
NO_ENGINE = (
    "history.url: the embedded engine is not installed: install anchorwatch[embedded] (500 MB), or name a server:"
    " clickhouse://user@host:8123/anchorwatch"
)
# Our batches are whole: a server that collects inserts before it stores them would only make us wait.
SETTINGS = {"async_insert": 0}


def is_engine_installed() -> bool:
    """Return whether the extra ``embedded`` was installed; the engine itself is not loaded for that."""
    return importlib.util.find_spec("chdb") is not None


def connect_embedded(path: Path) -> tuple[Any, IO[str]]:
    """Return a client of the engine at that path, and the lock file to keep open with it.

    Raises:
        ConfigError: the engine is not installed, the path can't be used, or another process uses it.
    """
    if not is_engine_installed():
        raise ConfigError([NO_ENGINE])
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock_file = open(path / "anchorwatch.lock", "a+", encoding="utf-8")  # noqa: SIM115 - held while we run
    except OSError as error:
        raise ConfigError([f"history.url: {path} can't be used: {error.strerror}"]) from error
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock_file.seek(0)
        owner = lock_file.read().strip() or "unknown"
        lock_file.close()
        raise ConfigError(
            [f"history.url: {path} is in use by another anchorwatch (process {owner}): one process a path"]
        ) from error
    lock_file.truncate(0)
    lock_file.write(f"{os.getpid()}\n")
    lock_file.flush()
    _say_nothing_twice()
    try:
        return clickhouse_connect.get_client(interface="chdb", path=str(path / "chdb")), lock_file
    except ClickHouseError as error:
        lock_file.close()
        raise ConfigError([f"history.url: the engine can't open {path}: {sentence_of(error)}"]) from error


def connect_again(path: Path) -> Any:
    """Return one more client of the engine that is open at that path: they wait for each other only at its locks."""
    return clickhouse_connect.get_client(interface="chdb", path=str(path / "chdb"))


def connect_server(config: HistoryConfig) -> Any:
    """Return a client of the server's database, which is made if it is absent; threads may share it under a lock.

    Raises:
        ConfigError: what the operator must change: URL, user, password, rights, certificates, the server's version.
        Transient: a server that does not answer.
    """
    server = server_of(config)
    _say_nothing_twice()
    try:
        client = _open_client(config, server)
    except DATABASE_ERRORS as error:
        if config.tls is None and _is_cut_off(error) and _speaks_tls(server):
            raise unusable(
                "tls",
                f"{server.place} speaks TLS and we do not",
                "say 'tls: {}' (its authority in ca_file), or give the HTTP port (8123) in history.url",
            ) from error
        raise explain_refusal(error, server, config) from error
    try:
        _check_server(client, config, server)
        _make_database(client, config, server)
    except DATABASE_ERRORS as error:
        client.close()
        raise explain_refusal(error, server, config) from error
    except ConfigError:
        client.close()
        raise
    client.database = server.database
    return client


def _open_client(config: HistoryConfig, server: ServerAddress) -> Any:
    tls = config.tls
    scheme = "https" if tls is not None else "http"
    options: dict[str, Any] = {"interface": scheme}
    if tls is not None and tls.cert_path:
        options["client_cert"] = tls.cert_path
        # Without a password the certificate is who we are; with one it only opens the door.
        options["tls_mode"] = "strict" if config.password else "mutual"
    return clickhouse_connect.get_client(
        pool_mgr=_open_pool(config, f"{scheme}://{server.place}"),
        host=server.host,
        port=server.port,
        username=server.user,
        password=config.password,
        connect_timeout=CONNECT_S,
        send_receive_timeout=READ_S,
        show_clickhouse_errors="scrub",
        autogenerate_session_id=False,  # a session takes one query at a time
        client_name="anchorwatch",
        settings=SETTINGS,
        **options,
    )


def _open_pool(config: HistoryConfig, url: str) -> Any:
    """Return connections by the rule of ``config.egress``; the client's own reading of the environment is another.

    Without a file the authorities are the system's, or those of SSL_CERT_FILE. Connections close with the last use.
    """
    options: dict[str, Any] = {}
    if config.tls is not None:
        options["ca_cert"] = config.tls.ca_path or config.egress.ca_path or None
        if config.tls.cert_path:
            options["client_cert"], options["client_cert_key"] = config.tls.cert_path, config.tls.key_path
    proxy = config.egress.proxy_for(url)
    if proxy:
        options[f"{proxy.partition(':')[0]}_proxy"] = with_user(proxy, config.egress.user_of(proxy))
    return get_pool_manager(**options)


def _check_server(client: Any, config: HistoryConfig, server: ServerAddress) -> None:
    if not client.min_version(OLDEST_SERVER):
        raise unusable(
            "url",
            f"the ClickHouse at {server.place} is version {client.server_version}, which is too old",
            f"upgrade it to {OLDEST_SERVER} or later",
        )
    if not config.cluster:
        return
    found = client.query("SELECT cluster, uniqExact(shard_num) FROM system.clusters GROUP BY cluster").result_rows
    shards_by_cluster = {name: int(shards) for name, shards in found}
    shards = shards_by_cluster.get(config.cluster, 0)
    if not shards:
        known = ", ".join(sorted(shards_by_cluster)) or "none"
        raise unusable(
            "cluster", f"{server.place} knows no cluster {config.cluster!r}, only: {known}", "see its remote_servers"
        )
    if shards > 1:
        raise unusable(
            "cluster",
            f"{config.cluster!r} has {shards} shards, and the history is replicated, not sharded",
            "name a cluster of one shard",
        )


def _make_database(client: Any, config: HistoryConfig, server: ServerAddress) -> None:
    """Make the database; one that is there needs no right to make it."""
    try:
        define(client, f"CREATE DATABASE IF NOT EXISTS `{server.database}`", config.cluster)
    except ClickHouseError as error:
        if getattr(error, "code", None) not in NO_RIGHTS:
            raise
        sql = "SELECT count() FROM system.databases WHERE name = %(name)s"
        if client.query(sql, parameters={"name": server.database}).result_rows[0][0]:
            return
        raise unusable(
            "url",
            f"{server.place} lacks {server.database!r}, and {server.user!r} can't make it ({sentence_of(error)})",
            f"CREATE DATABASE {server.database} and GRANT ALL ON {server.database}.* TO {server.user}",
        ) from error


def _is_cut_off(error: Exception) -> bool:
    """Return whether there was a connection but no HTTP on it."""
    return any(isinstance(cause, ProtocolError | ConnectionResetError) for cause in causes_of(error))


def _speaks_tls(server: ServerAddress) -> bool:
    """Return whether a TLS handshake succeeds; nothing is sent and nobody is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((server.host, server.port), CONNECT_S) as plain,
            context.wrap_socket(plain, server_hostname=server.host),
        ):
            return True
    except OSError:
        return False


def _say_nothing_twice() -> None:
    """Silence the client's own log: what it logs it raises too, and we log a fault where the reaction is chosen."""
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
