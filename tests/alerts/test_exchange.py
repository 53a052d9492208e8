"""A delivery ends in time, whatever the receiver does; refusals are told apart from silence."""

import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from alerts.receivers.command import KEPT_BYTES, CommandNotifier
from alerts.receivers.exchange import Line
from alerts.receivers.pagerduty import PagerDutyNotifier
from alerts.receivers.webhook import WebhookNotifier
from schemas.egress import Egress
from tests.alerts.test_receivers import NOW, SECRET, delivery
from tests.support.certificates import Authority
from tests.support.findings import HttpReceiver
from tests.support.hostile import (
    Hostile,
    accepts_with_an_endless_body,
    drips,
    refuses_with_an_endless_body,
    says_nothing,
)

DEADLINE_S = 0.5
SOON_S = 5.0


def send(url: str, line: Line | None = None, *, deadline_s: float = DEADLINE_S) -> Any:
    started = time.monotonic()
    outcome = WebhookNotifier(url, SECRET, line, deadline_s=deadline_s).send(delivery(), NOW)
    assert time.monotonic() - started < SOON_S
    return outcome


def test_a_receiver_that_sends_an_octet_now_and_then_is_cut_at_the_deadline() -> None:
    with Hostile(drips) as receiver:
        outcome = send(receiver.url)

    assert (outcome.delivered, outcome.retry) == (False, True)


def test_a_receiver_that_says_nothing_is_cut_at_the_deadline() -> None:
    with Hostile(says_nothing) as receiver:
        assert not send(receiver.url).delivered


def test_a_tls_handshake_that_hangs_is_cut_at_the_deadline() -> None:
    with Hostile(says_nothing) as receiver:
        outcome = send(receiver.url.replace("http:", "https:"))

    assert (outcome.delivered, outcome.retry) == (False, True)


def test_a_receiver_that_never_accepts_is_cut_at_the_deadline() -> None:
    with Hostile(drips, accepts=False) as receiver:
        assert not send(receiver.url).delivered


def test_of_an_endless_refusal_a_few_octets_are_read() -> None:
    with Hostile(refuses_with_an_endless_body) as receiver:
        outcome = send(receiver.url, deadline_s=2 * SOON_S)

    assert not outcome.delivered
    assert not outcome.retry
    assert "no such hook" in outcome.detail
    assert len(outcome.detail) < 300


def test_yes_is_yes_though_its_body_has_no_end() -> None:
    with Hostile(accepts_with_an_endless_body) as receiver:
        started = time.monotonic()
        outcome = WebhookNotifier(receiver.url, "", deadline_s=30).send(delivery(), NOW)

    assert outcome.delivered
    assert time.monotonic() - started < SOON_S, "nobody waits for the body"


def test_a_certificate_that_nobody_vouches_for_is_a_refusal_and_a_file_makes_it_good(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "house")
    cert, key = authority.certify("127.0.0.1")
    with Secured(cert, key) as receiver:
        refused = send(receiver.url)
        trusted = send(receiver.url, Line(Egress(ca_path=authority.path)))

    assert (refused.delivered, refused.retry) == (False, False)
    assert refused.detail.startswith("TLS: ")
    assert trusted.delivered


class Secured:
    """A receiver over TLS that accepts everything."""

    def __init__(self, cert: str, key: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments: object) -> None: ...

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *arguments: object) -> None: ...

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> "Secured":
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_what_a_receiver_echoes_of_its_secrets_is_not_repeated() -> None:
    key = "0123456789abcdef0123456789abcdef"

    def echoes(connection: Any, over: threading.Event) -> None:
        connection.recv(65_536)
        body = f"no such key {key} at /hook-T0KENT0KEN".encode()
        connection.sendall(b"HTTP/1.1 404 no\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    with Hostile(echoes) as receiver:
        outcome = PagerDutyNotifier(key, receiver.url + "-T0KENT0KEN", deadline_s=5).send(delivery(), NOW)

    assert "no such key" in outcome.detail
    assert key not in outcome.detail
    assert "T0KENT0KEN" not in outcome.detail


def test_pagerduty_gets_no_event_twice_that_it_called_invalid() -> None:
    with HttpReceiver(400) as endpoint:
        outcome = PagerDutyNotifier("R" * 32, endpoint.url).send(delivery(), NOW)

    assert (outcome.retry, outcome.unfit) == (False, True)


class TestCommands:
    def run(self, script: str, *, deadline_s: float = 10.0) -> Any:
        return CommandNotifier([sys.executable, "-c", script], deadline_s=deadline_s).send(delivery(), NOW)

    def test_what_a_command_says_is_kept_up_to_its_last_octets(self) -> None:
        script = (
            "import sys\nfor _ in range(200): sys.stderr.write('x' * 100_000)\nsys.stderr.write('the end')\nsys.exit(4)"
        )

        outcome = self.run(script)

        assert outcome.detail.startswith("exit status 4")
        assert outcome.detail.endswith("the end")
        assert len(outcome.detail) < KEPT_BYTES

    def test_a_command_that_writes_without_end_is_ended_at_the_deadline(self) -> None:
        outcome = self.run("while True: print('y' * 100_000)", deadline_s=DEADLINE_S)

        assert outcome.detail.endswith("ran longer than 0.5 s")

    def test_a_command_that_reads_nothing_holds_up_nobody(self) -> None:
        crowd = {"detail": "d" * 1_000_000}
        command = CommandNotifier([sys.executable, "-c", "import time; time.sleep(60)"], deadline_s=DEADLINE_S)

        outcome = command.send(delivery(**crowd), NOW)

        assert not outcome.delivered

    @pytest.mark.parametrize("leader_ends", [True, False])
    def test_what_a_command_starts_ends_with_it(self, tmp_path: Path, leader_ends: bool) -> None:
        """The grandchild writes on while it lives, and holds the pipe open."""
        mark = tmp_path / "alive"
        child = f"import time\nwhile True:\n open({str(mark)!r}, 'a').write('.')\n time.sleep(0.01)"
        script = (
            f"import subprocess, sys, time, os\nsubprocess.Popen([sys.executable, '-c', {child!r}])\n"
            f"while not os.path.exists({str(mark)!r}): time.sleep(0.01)\n" + ("" if leader_ends else "time.sleep(60)")
        )

        outcome = self.run(script, deadline_s=30.0 if leader_ends else 3.0)

        assert outcome.delivered is leader_ends
        time.sleep(0.05)  # what was written before the end is there by now
        size = mark.stat().st_size
        time.sleep(0.2)
        assert mark.stat().st_size == size

    def test_closing_ends_what_is_under_way_and_begins_nothing_more(self) -> None:
        command = CommandNotifier([sys.executable, "-c", "import time; time.sleep(60)"], deadline_s=60)
        ended: list[Any] = []
        thread = threading.Thread(target=lambda: ended.append(command.send(delivery(), NOW)))
        thread.start()
        while not command._running:
            time.sleep(0.01)

        command.close()
        thread.join(SOON_S)

        assert not ended[0].delivered
        assert command.send(delivery(), NOW).detail == "this process ends"
