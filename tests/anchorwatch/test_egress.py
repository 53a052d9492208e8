"""All that leaves the process goes through the proxy: a proxy on loopback says what it was asked for."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from alerts.receivers.exchange import Line
from analyzer.config import HistoryConfig
from analyzer.history.clickhouse import open_history
from collector.dnssec.questions import FetchFailure
from collector.resolvers.address import Address
from collector.resolvers.resolver import Resolver
from schemas.egress import Egress
from schemas.faults import ConfigError, Transient
from schemas.tls import TlsConfig
from tests.support.hostile import Hostile
from tests.support.running import COMMAND, environment


class Proxy(Hostile):
    """Keeps the first line and the login of each request, and refuses it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.logins: list[str] = []
        super().__init__(self._refuse)

    def _refuse(self, connection: socket.socket, over: threading.Event) -> None:
        head = connection.recv(65_536).decode("latin-1")
        self.asked.append(head.split("\r\n")[0].rsplit(" ", 1)[0].split("?")[0])
        lines = head.lower().split("\r\n")
        self.logins += [line.partition(": ")[2] for line in lines if line.startswith("proxy-authorization: ")]
        connection.sendall(b"HTTP/1.1 502 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    @property
    def egress(self) -> Egress:
        url = f"http://127.0.0.1:{self.port}"
        return Egress(http_proxy=url, https_proxy=url, users={url: "robot:secret"}, no_proxy=("direct.example",))


def test_receivers_go_through_the_proxy_with_its_login() -> None:
    with Proxy() as proxy:
        line = Line(proxy.egress)
        assert line.exchange("POST", "http://pager.example/v2", body=b"{}", deadline_s=5).status == 502
        with pytest.raises(Exception, match="502"):
            line.exchange("POST", "https://hook.example/in", body=b"{}", deadline_s=5)

    assert proxy.asked == ["POST http://pager.example/v2", "CONNECT hook.example:443"]
    assert proxy.logins == ["basic cm9ib3q6c2vjcmv0"] * 2


def test_doh_goes_through_the_proxy() -> None:
    async def ask(egress: Egress) -> object:
        address = Address("https", "dns.example", 443, "/dns-query")
        return await Resolver(address, timeout_s=1.0, attempts=1, egress=egress).ask((b"example",), 1)

    with Proxy() as proxy:
        reply = asyncio.run(ask(proxy.egress))

    assert isinstance(reply, FetchFailure)
    assert set(proxy.asked) == {"CONNECT dns.example:443"}


@pytest.mark.parametrize(
    ("tls", "asked"), [(None, "POST http://db.example:8123/"), (TlsConfig(), "CONNECT db.example:8123")]
)
def test_clickhouse_goes_through_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: TlsConfig | None, asked: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with Proxy() as proxy:
        config = HistoryConfig(url="clickhouse://aw@db.example:8123/aw", base=tmp_path, tls=tls, egress=proxy.egress)
        with pytest.raises((Transient, ConfigError)) as caught:
            open_history(config)

    assert proxy.asked[0] == asked, "the rule counts, not what the client reads from the environment"
    assert "secret" not in str(caught.value)


def test_commands_go_by_the_environment(tmp_path: Path) -> None:
    import subprocess

    with Proxy() as proxy:
        settings = {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}", "NO_PROXY": "10.0.0.0/8"}
        asked = [*COMMAND, "incidents", "--api", "http://watch.example:8053"]
        subprocess.run(asked, env={**environment(), **settings}, capture_output=True, timeout=60, check=False)

    assert proxy.asked == ["GET http://watch.example:8053/api/v1/incidents"]
