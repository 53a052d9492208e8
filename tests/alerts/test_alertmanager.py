"""Alerts at a real Alertmanager: they fire, are sent again, end, and are silenced there."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import urllib3

from alerts.delivery.delivery import Delivery
from alerts.receivers.alertmanager import FIRES_FOR, AlertmanagerNotifier, make_alert
from tests.support.daemons import until
from tests.support.findings import finding
from tests.support.messages import PAYMENTS, deliveries, delivery_of, incident_of

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
real = pytest.mark.skipif(PROGRAM is None, reason="needs Alertmanager (apt-get install prometheus-alertmanager)")
CONFIG = """
route: {receiver: none, group_wait: 1s, group_by: [incident]}
receivers: [{name: none%s}]
"""


class Manager:
    """An Alertmanager of one test, which can be restarted."""

    def __init__(self, folder: Path, hook: str = "") -> None:
        self._folder = folder
        hooks = f", webhook_configs: [{{url: '{hook}'}}]" if hook else ""
        (folder / "am.yaml").write_text(CONFIG % hooks)
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.url = f"http://127.0.0.1:{server.getsockname()[1]}"
        self.start()

    def start(self) -> None:
        assert PROGRAM is not None
        self._process = subprocess.Popen(
            [
                PROGRAM,
                f"--config.file={self._folder / 'am.yaml'}",
                f"--storage.path={self._folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--cluster.listen-address=",
            ],
            stderr=subprocess.DEVNULL,
        )
        until(self.is_ready, "Alertmanager")

    def is_ready(self) -> bool:
        try:
            return urllib3.request("GET", f"{self.url}/-/ready", retries=False, timeout=1.0).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def alerts(self, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(urllib3.request("GET", f"{self.url}/api/v2/alerts{query}").data)
        return found

    def silence(self, **matchers: str) -> None:
        now = datetime.now(UTC)
        body = {
            "matchers": [{"name": n, "value": v, "isRegex": False, "isEqual": True} for n, v in matchers.items()],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "ana",
            "comment": "test",
        }
        answer = urllib3.request("POST", f"{self.url}/api/v2/silences", json=body)
        assert answer.status == 200, answer.data


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    one = Manager(tmp_path)
    yield one
    one.stop()


def page(name: str = "page", **changes: Any) -> Delivery:
    """A page of what began just now: Alertmanager forgets what ended long ago."""
    shown = deliveries()[name]
    incident = msgspec.structs.replace(shown.incident, opened_at=datetime.now(UTC) - timedelta(minutes=1))
    return msgspec.structs.replace(shown, incident=incident, **changes)


@real
def test_an_alert_fires_with_what_people_need_and_ends(manager: Manager) -> None:
    notifier = AlertmanagerNotifier(manager.url)
    outcome = notifier.send(page(), time.time())
    assert outcome.delivered, outcome.detail
    (alert,) = until(manager.alerts, "the alert")

    assert alert["status"]["state"] in ("active", "unprocessed")
    assert alert["labels"]["alertname"] == "anchorwatch_rrsig_expired"
    assert (alert["labels"]["zone"], alert["labels"]["owner"]) == ("bank.example.", "payments")
    assert alert["annotations"]["runbook_url"] == "https://watch.corp.example/runbooks/rrsig_expired"
    assert alert["annotations"]["summary"].startswith("[critical] bank.example: ")

    assert notifier.send(page(event="resolve"), time.time()).delivered
    until(lambda: not manager.alerts("?active=true"), "its end")


@real
def test_updates_and_acknowledgements_are_the_same_alert_whatever_changes(manager: Manager) -> None:
    notifier = AlertmanagerNotifier(manager.url)
    mild = incident_of(finding("alias_chain_broken"))
    first = notifier.send(delivery_of("trigger", mild, "confirmed"), time.time())
    other = msgspec.structs.replace(PAYMENTS[0], id="a", owner="a team", environment="a place")
    worse = incident_of(finding("alias_chain_broken"), finding("dnskey_missing", identities=(other,)))
    worse = msgspec.structs.replace(worse, id=mild.id, memos={"soc": first.memo})
    for event in ("update", "acknowledge"):
        assert notifier.send(delivery_of(event, worse, "severity rose"), time.time()).delivered

    (alert,) = until(manager.alerts, "the alert")
    assert (alert["labels"]["severity"], alert["labels"]["owner"]) == ("high", "payments")
    assert alert["annotations"]["severity_now"] == "critical"


@real
def test_what_fires_is_said_again_after_alertmanager_was_restarted(manager: Manager) -> None:
    notifier = AlertmanagerNotifier(manager.url)
    notifier.send(page(), time.time())
    until(manager.alerts, "the alert")
    manager.stop()
    manager.start()
    assert manager.alerts() == [], "it forgets alerts"

    assert notifier.refresh([page()], time.time()).delivered
    until(manager.alerts, "the alert again")


@real
def test_a_silence_there_is_honoured_there(manager: Manager) -> None:
    manager.silence(zone="bank.example.")
    AlertmanagerNotifier(manager.url).send(page(), time.time())

    until(lambda: manager.alerts("?silenced=true&active=false"), "the silenced alert")
    assert manager.alerts("?silenced=false") == []


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    outcome = AlertmanagerNotifier(url, deadline_s=1).send(page(), time.time())

    assert (outcome.delivered, outcome.retry) == (False, True)


def test_an_alert_that_nobody_sends_again_ends_by_itself() -> None:
    alert = make_alert(page(), 1_800_000_000.0)

    assert datetime.fromisoformat(str(alert["endsAt"])) == datetime.fromtimestamp(1_800_000_000, UTC) + FIRES_FOR
