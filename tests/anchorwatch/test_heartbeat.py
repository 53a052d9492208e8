"""The heartbeat against a real server on loopback; progress is on a clock that the test turns."""

import asyncio
import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from alerts.receivers.exchange import Line
from anchorwatch.configuration.heartbeat import HeartbeatConfig
from anchorwatch.configuration.loading import load_config
from anchorwatch.pipeline.heartbeat import Heartbeat, url_of
from anchorwatch.pipeline.progress import SLOW_S, Progress
from anchorwatch.telemetry import Meter
from schemas.egress import Egress
from schemas.faults import ConfigError


class Listening:
    """Counts the calls, and answers with ``status``."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                self.send_response(outer.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.place = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.place}/ping/5ecret-t0ken"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> "Listening":
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def outcomes(meter: Meter) -> dict[str, float]:
    (metric,) = [one for one in meter.registry.collect() if one.name == "anchorwatch_heartbeats"]
    return {s.labels["outcome"]: s.value for s in metric.samples if s.name.endswith("_total")}


def test_it_beats_while_all_makes_progress_and_stops_when_one_does_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock, meter = Clock(), Meter()
    progress = Progress(clock)
    steps = [progress.track(name) for name in ("collector", "analyzer", "alerts")]

    async def story(outside: Listening) -> None:
        beat = Heartbeat(HeartbeatConfig(url=outside.url, interval_s=0.02), progress, Line(), meter)
        beat.start()
        await asyncio.sleep(0.1)
        assert outside.paths == [], "no stage has begun"
        for step in steps:
            step.turned()
        await until(lambda: len(outside.paths) >= 2)

        clock.now += SLOW_S + 1
        for step in steps[:2]:
            step.turned()
        before = outcomes(meter).get("withheld", 0)
        await until(lambda: outcomes(meter).get("withheld", 0) > before)
        count = len(outside.paths)
        await until(lambda: outcomes(meter)["withheld"] >= before + 4)
        assert len(outside.paths) == count, "the alerts make no progress"

        sent = outcomes(meter)["sent"]
        steps[2].turned()
        await until(lambda: outcomes(meter)["sent"] > sent)
        beat.stop()

    with Listening() as outside:
        asyncio.run(story(outside))
        assert set(outside.paths) == {"/ping/5ecret-t0ken"}
    lines = [record.message for record in caplog.records if record.message.startswith("heartbeat")]
    assert next(line for line in lines if line != "heartbeat withheld") == "heartbeat sent"
    assert lines.count("heartbeat sent") == 2, "an outage is one line at its start and one at its end"
    assert "5ecret" not in caplog.text


def test_a_call_that_fails_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    meter, progress = Meter(), Progress(Clock())

    async def story(outside: Listening) -> None:
        beat = Heartbeat(HeartbeatConfig(url=outside.url, interval_s=0.01), progress, Line(), meter)
        beat.start()
        await until(lambda: outcomes(meter).get("failed", 0) >= 3)
        beat.stop()

    with Listening(404) as outside:
        asyncio.run(story(outside))

    (record,) = [record for record in caplog.records if record.message == "heartbeat failed"]
    assert (record.detail, record.host) == ("HTTP 404", "127.0.0.1")  # type: ignore[attr-defined]


def test_it_goes_through_the_proxy_like_all_else() -> None:
    """The proxy is the server itself: it is asked for the whole URL."""
    meter, progress = Meter(), Progress(Clock())

    async def story(proxy: Listening) -> None:
        line = Line(Egress(http_proxy=f"http://{proxy.place}"))
        config = HeartbeatConfig(url="http://outside.example/ping", interval_s=0.01)
        beat = Heartbeat(config, progress, line, meter)
        beat.start()
        await until(lambda: proxy.paths)
        beat.stop()

    with Listening() as proxy:
        asyncio.run(story(proxy))

    assert proxy.paths[0] == "http://outside.example/ping"


def test_stages_that_share_a_file_call_apart() -> None:
    assert url_of("https://a.example/k/aw-{stage}-{host}", "alerts", "box/1") == "https://a.example/k/aw-alerts-box%2F1"


class TestConfiguration:
    def load(self, folder: Path, text: str) -> Any:
        (folder / "inventory.yaml").write_text("identities: []\n")
        (folder / "anchorwatch.yaml").write_text(
            f"inventory: [{{path: inventory.yaml}}]\nvantages: [{{name: v, resolver: 'udp://127.0.0.1'}}]\n{text}\n"
        )
        return load_config(folder / "anchorwatch.yaml")

    def test_the_url_may_stand_in_a_file_and_is_never_shown(self, tmp_path: Path) -> None:
        (tmp_path / "url").write_text("https://outside.example/5ecret\n")

        config = self.load(tmp_path, "heartbeat: {url_file: url, interval: 30s}").heartbeat

        assert (config.url, config.interval_s) == ("https://outside.example/5ecret", 30.0)
        assert "5ecret" not in repr(config)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("heartbeat: {}", "either 'url' or 'url_file'"),
            ("heartbeat: {url: 'https://a.example', url_file: b}", "either 'url' or 'url_file'"),
            ("heartbeat: {url: 'ftp://a.example/5ecret'}", "heartbeat.url: a URL begins with"),
            ("heartbeat: {url: 'https://a.example/5ecret', interval: soon}", "no duration"),
            ("outbound: {proxy: 'http://robot:5ecret@proxy:1'}", "outbound.proxy_user_file"),
            ("outbound: {proxy: 'socks5://proxy:1'}", "outbound.proxy: a proxy is"),
            ("outbound: {ca_file: inventory.yaml}", "no certificates in PEM"),
            ("outbound: {ca_file: nowhere.pem}", "No such file"),
        ],
    )
    def test_what_can_not_be_used_is_refused(self, tmp_path: Path, text: str, said: str) -> None:
        with pytest.raises(ConfigError) as caught:
            self.load(tmp_path, text)

        assert said in str(caught.value)
        assert "5ecret" not in str(caught.value)

    def test_the_key_comes_before_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://env:1")
        monkeypatch.setenv("NO_PROXY", "env.example")
        url = "https://outside.example/"

        assert self.load(tmp_path, "").egress.proxy_for(url) == "http://env:1"
        assert self.load(tmp_path, "outbound: {proxy: 'http://key:2'}").egress.proxy_for(url) == "http://key:2"
        assert self.load(tmp_path, "outbound: {proxy: none}").egress.proxy_for(url) == ""
        by_list = self.load(tmp_path, "outbound: {no_proxy: [outside.example]}").egress
        assert by_list.proxy_for(url) == ""
        assert by_list.proxy_for("https://env.example/") == "http://env:1"

    def test_who_would_not_be_told_is_a_warning(self, tmp_path: Path) -> None:
        assert self.load(tmp_path, "").warnings == ("receivers: there is none, so nobody is notified of any finding",)
