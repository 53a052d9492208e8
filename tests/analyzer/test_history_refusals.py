"""Why a history can't be opened, or does not answer, is said in a sentence: what, where, and what to do."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from analyzer.config import HistoryConfig, server_of
from analyzer.history.clickhouse import ClickHouseHistory, open_history
from analyzer.history.server_faults import UNFIT_ROWS, classify_fault, explain_refusal
from schemas.faults import ConfigError, Rejected, Transient
from schemas.tls import TlsConfig
from tests.support.certificates import Authority
from tests.support.clickhouse_front import FrontProcess
from tests.support.databases import new_database

PASSWORD = "correct horse"


def config(url: str, **more: Any) -> HistoryConfig:
    return HistoryConfig(url=url, base=Path(), **more)


def refusal(config: HistoryConfig) -> str:
    """Return the one sentence that refuses a configuration, which never holds a password."""
    with pytest.raises(ConfigError) as caught:
        open_history(config)
    (problem,) = caught.value.problems
    assert not config.password or config.password not in problem
    return problem


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def secured(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontProcess]:
    """A server that speaks TLS as 127.0.0.1 and lets one user in."""
    certificate, key = authority.certify("127.0.0.1")
    front = FrontProcess(
        tmp_path_factory.mktemp("secured"),
        *("--user", "watch", "--password", PASSWORD, "--cert", certificate, "--key", key),
    )
    yield front
    front.kill()


def test_a_server_is_spoken_to_over_tls_with_a_password(secured: FrontProcess, authority: Authority) -> None:
    url = secured.history_url(new_database(), "watch")

    tls = TlsConfig(ca_path=authority.path)
    history: ClickHouseHistory = open_history(config(url, password=PASSWORD, tls=tls))

    assert history.is_ready()
    history.close()


@pytest.mark.parametrize(("user", "password"), [("watch", "wrong staple"), ("watch", ""), ("nobody", PASSWORD)])
def test_a_user_that_is_not_let_in(secured: FrontProcess, authority: Authority, user: str, password: str) -> None:
    url = secured.history_url(user=user)

    problem = refusal(config(url, password=password, tls=TlsConfig(ca_path=authority.path)))

    assert problem.startswith("history.password_file: 127.0.0.1:")
    assert f"does not let the user '{user}' in ({user}: Authentication failed" in problem


def test_a_certificate_for_another_name(secured: FrontProcess, authority: Authority) -> None:
    url = secured.history_url(user="watch").replace("127.0.0.1", "localhost")

    problem = refusal(config(url, password=PASSWORD, tls=TlsConfig(ca_path=authority.path)))

    assert problem.startswith("history.tls: the certificate of localhost:")
    assert "is not for that name (Hostname mismatch" in problem
    assert problem.endswith("write the name that it holds into history.url, or renew it with this one")


def test_a_certificate_of_an_unknown_authority(secured: FrontProcess, tmp_path: Path) -> None:
    url = secured.history_url(user="watch")
    stranger = Authority(tmp_path, "stranger").path

    for tls, whom in ((TlsConfig(), "the system's authorities"), (TlsConfig(ca_path=stranger), stranger)):
        problem = refusal(config(url, password=PASSWORD, tls=tls))

        assert problem.startswith("history.tls: the certificate of 127.0.0.1:")
        assert f"is not vouched for by {whom} (unable to get local issuer certificate)" in problem


def test_a_certificate_that_has_expired(authority: Authority, start_front: Callable[..., FrontProcess]) -> None:
    certificate, key = authority.certify("127.0.0.1", days=-1)
    front = start_front("--cert", certificate, "--key", key)

    problem = refusal(config(front.history_url(), tls=TlsConfig(ca_path=authority.path)))

    assert "has expired (certificate has expired): renew it" in problem


def test_http_to_a_port_that_speaks_tls(secured: FrontProcess) -> None:
    problem = refusal(config(secured.history_url(user="watch"), password=PASSWORD))

    assert problem.startswith("history.tls: 127.0.0.1:")
    assert "speaks TLS and we do not: say 'tls: {}'" in problem


def test_tls_to_a_port_that_speaks_http(front: FrontProcess) -> None:
    problem = refusal(config(front.history_url(), tls=TlsConfig()))

    assert "does not speak TLS: give the HTTPS port (8443) in history.url" in problem


def test_a_server_that_is_too_old(start_front: Callable[..., FrontProcess]) -> None:
    problem = refusal(config(start_front("--version", "24.3.1.1").history_url()))

    assert "is version 24.3.1.1, which is too old: upgrade it to 25.8 or later" in problem


def test_a_user_that_may_not_make_the_database(start_front: Callable[..., FrontProcess]) -> None:
    front = start_front("--readonly")

    absent = refusal(config(front.history_url("watch")))
    present = refusal(config(front.history_url("default")))

    assert "lacks 'watch', and 'default' can't make it (default: Cannot execute query in readonly mode.)" in absent
    assert absent.endswith("CREATE DATABASE watch and GRANT ALL ON watch.* TO default")
    assert "the user 'default' lacks a right at" in present


def test_a_cluster_that_the_server_does_not_know(front: FrontProcess) -> None:
    problem = refusal(config(front.history_url(new_database()), cluster="watch"))

    assert problem.startswith("history.cluster: 127.0.0.1:")
    assert "knows no cluster 'watch', only: none" in problem


def test_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        with pytest.raises(Transient, match=f"the history at 127.0.0.1:{port} does not answer: connection refused"):
            open_history(config(f"clickhouse://watch@127.0.0.1:{port}/anchorwatch"))


def test_a_host_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = config(f"clickhouse://watch@127.0.0.1:{port}/anchorwatch")
        with pytest.raises(ClickHouseError) as caught:
            clickhouse_connect.get_client(
                host="127.0.0.1", port=port, send_receive_timeout=1, show_clickhouse_errors="scrub"
            )

    refused = explain_refusal(caught.value, server_of(settings), settings)

    assert isinstance(refused, Transient)
    assert str(refused) == f"the history at 127.0.0.1:{port} does not answer: no answer within the time limit"


def test_a_host_that_does_not_exist() -> None:
    problem = refusal(config("clickhouse://watch@no-such-host.invalid/anchorwatch"))

    assert problem.startswith("history.url: there is no host 'no-such-host.invalid' (")


def test_what_answers_is_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\nConnection: close\r\n\r\nno such pa"
                )

        thread = threading.Thread(target=answer)
        thread.start()
        problem = refusal(config(f"clickhouse://watch@127.0.0.1:{other.getsockname()[1]}/anchorwatch"))
        thread.join()

    assert "is not ClickHouse's HTTP interface (" in problem


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://host/db", "is neither chdb:PATH nor clickhouse://user@host:port/database"),
        ("clickhouse://", "is not clickhouse://user@host:port/database"),
        ("clickhouse://host:port/db", "history.url: it is no URL"),
        ("clickhouse://host/a/b", "can't be a database: letters, digits"),
        ("clickhouse://host/db?secure=1", "nothing may follow the database"),
    ],
)
def test_a_url_that_is_none(url: str, said: str) -> None:
    assert said in refusal(config(url))


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    problem = refusal(config("clickhouse://watch:hunter2@host/db"))

    assert problem == ("history.url: a password is no part of the URL: put it in a file, history.password_file")


def test_the_embedded_engine_has_no_cluster() -> None:
    assert refusal(config("chdb:data", cluster="watch")).startswith("history.cluster: ")


def test_ports_and_names_have_defaults() -> None:
    plain = server_of(config("clickhouse://db.example"))
    secured = server_of(config("clickhouse://wa%40tch@[::1]/other", tls=TlsConfig()))

    assert (plain.place, plain.user, plain.database) == ("db.example:8123", "default", "anchorwatch")
    assert (secured.place, secured.user, secured.database) == ("[::1]:8443", "wa@tch", "other")


def engine_error(client: Any, sql: str, **settings: Any) -> ClickHouseError:
    """Return what the engine really raises."""
    with pytest.raises(ClickHouseError) as caught:
        client.command(sql, settings=settings)
    return caught.value


@pytest.mark.parametrize(
    ("sql", "key", "said"),
    [
        ("CREATE USER bob", "url", "GRANT ALL ON anchorwatch.* TO watch, or name another user"),
        ("SELECT * FROM nowhere.findings", "url", "CREATE DATABASE anchorwatch"),
        ("CREATE TABLE t ON CLUSTER 'c' (a Int8) ENGINE = Null", "cluster", "put it into remote_servers"),
        (
            "CREATE TABLE t (a Int8) ENGINE = ReplicatedMergeTree('/{shard}', '{replica}') ORDER BY a",
            "cluster",
            "macros",
        ),
    ],
)
def test_what_the_engine_refuses_is_the_operators_to_change(client: Any, sql: str, key: str, said: str) -> None:
    settings = config("clickhouse://watch@host/anchorwatch", cluster="c")

    refused = explain_refusal(engine_error(client, sql), server_of(settings), settings)

    assert isinstance(refused, ConfigError)
    assert str(refused).startswith(f"history.{key}: ")
    assert said in str(refused)


@pytest.mark.parametrize(
    ("sql", "settings", "said"),
    [
        ("SELECT * FROM gone", {}, "a table was dropped"),
        ("CREATE USER bob", {}, "the user has lost a right: GRANT it again"),
        ("SELECT groupArray(number) FROM numbers(9999999)", {"max_memory_usage": 100_000}, "short of memory"),
        ("SELECT sleep(1)", {"max_execution_time": 0.1}, "Timeout exceeded"),
        ("SELECT throwIf(1)", {}, "Value passed to 'throwIf' function is non-zero"),
    ],
)
@pytest.mark.parametrize("doing", ["read", "written"])
def test_what_may_pass_is_waited_for(client: Any, sql: str, settings: dict[str, Any], said: str, doing: str) -> None:
    fault = classify_fault(engine_error(client, sql, **settings), doing)

    assert isinstance(fault, Transient)
    assert str(fault).startswith(f"the history can't be {doing}: ")
    assert said in str(fault)
    assert "\n" not in str(fault)


def test_merges_that_do_not_keep_up_are_waited_for(client: Any) -> None:
    client.command("CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS parts_to_throw_insert = 1")
    client.command("SYSTEM STOP MERGES t")
    client.command("INSERT INTO t VALUES (1)")

    fault = classify_fault(engine_error(client, "INSERT INTO t VALUES (2)"), "written")

    assert isinstance(fault, Transient)
    assert "merges do not keep up" in str(fault)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (n) FORMAT TSV\nmany\n",
        "INSERT INTO t (at) FORMAT TSV\nyesterday\n",
        "INSERT INTO t (n) SELECT toUInt32('many')",
        "INSERT INTO t (n) VALUES ('many')",
        'INSERT INTO t (n) FORMAT JSONEachRow {"n": {}}',
    ],
)
def test_what_no_column_can_hold_is_rejected(client: Any, sql: str) -> None:
    client.command("CREATE TABLE t (n UInt32, at DateTime64(6, 'UTC')) ENGINE = MergeTree ORDER BY n")
    error = engine_error(client, sql)

    assert isinstance(classify_fault(error, "written"), Rejected)
    assert isinstance(classify_fault(error, "read"), Transient)


def test_the_codes_are_the_engines(client: Any) -> None:
    for code, name in UNFIT_ROWS.items():
        assert client.query(f"SELECT errorCodeToName({code})").result_rows == [(name,)]
