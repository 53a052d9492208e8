"""anchorwatch as an operator runs it, asked over its HTTP API, with a real receiver for its notifications."""

import base64
import contextlib
import json
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3

from anchorwatch.lab.receiver import Receiver
from tests.support.daemons import Daemon, free_ports, until

JsonObject = dict[str, Any]

VANTAGE = "harbour"
CONFIG = """\
inventory: [{{path: inventory.yaml}}]
vantages: [{{name: {vantage}, resolver: "{resolver}"}}]
trust_anchors: {{path: "{anchors}"}}
poll: {{interval: 1s}}
alerts: {{group_wait: 0s, group_interval: 0s, storm: 0}}
receivers: [{{name: soc, type: webhook, url: "{hook}", secret_file: webhook.key}}]
routes: [{{match: {{severity: [critical, high, medium, low]}}, receiver: soc}}]
http: {{listen: "127.0.0.1:{port}"}}
"""


class Watch:
    """One anchorwatch, in however many processes: what it says, and what it told its receiver."""

    def __init__(self) -> None:
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.receiver = Receiver(self.secret)
        self._pool = urllib3.PoolManager()

    def url(self, path: str) -> str:
        """Return where a part of the API is served."""
        raise NotImplementedError

    def logs(self) -> str:
        """Return the end of what its processes logged."""
        raise NotImplementedError

    def close(self) -> None:
        """End the receiver."""
        self.receiver.close()
        self._pool.clear()

    def status(self, url: str) -> int:
        """Return the HTTP status of a URL, 0 where nothing answers."""
        try:
            return int(self._pool.request("GET", url, retries=False, timeout=5.0).status)
        except urllib3.exceptions.HTTPError:
            return 0

    # what the API says

    def get(self, path: str, **fields: str) -> list[JsonObject]:
        """Return a list from the API."""
        url = f"{self.url(path)}/api/v1/{path}"
        answer = self._pool.request("GET", url, fields=fields, retries=False, timeout=30.0)
        assert answer.status == 200, f"{path} {fields}: HTTP {answer.status}: {answer.data.decode(errors='replace')}"
        rows: list[JsonObject] = json.loads(answer.data)
        return rows

    def endpoint(self, name: str, rdtype: str = "A") -> JsonObject | None:
        """Return what is the case at one endpoint now, None before it was seen."""
        return next((row for row in self.get("endpoints", name=name) if row["type"] == rdtype), None)

    def ends_at(self, name: str) -> datetime:
        """Return when the signatures behind a verdict end; long ago where it rests on none."""
        row = self.endpoint(name)
        return (
            _instant(row["expires_at"]) if row is not None and row["expires_at"] else datetime.min.replace(tzinfo=UTC)
        )

    def verdicts(self) -> dict[str, str]:
        """Return the verdict now by "name TYPE"."""
        return {f"{row['name']} {row['type']}": row["verdict"] for row in self.get("endpoints")}

    def findings(self, zone: str = "", **fields: str) -> list[JsonObject]:
        """Return the findings that further polls have confirmed, newest first."""
        return [finding for finding in self.get("findings", zone=zone, **fields) if finding["confirmed"]]

    def ever(self, name: str, rdtype: str = "A") -> set[str]:
        """Return every verdict that an endpoint ever had."""
        return {interval["verdict"] for interval in self.get("history", name=name, type=rdtype)}

    def since(self, began_at: datetime, name: str, rdtype: str = "A") -> set[str]:
        """Return every verdict that an endpoint had since an instant."""
        intervals = self.get("history", name=name, type=rdtype)
        return {one["verdict"] for one in intervals if _instant(one["last_seen_at"]) >= began_at}

    def incident(self, incident_id: str) -> JsonObject:
        """Return one incident."""
        return next(row for row in self.get("incidents") if row["id"] == incident_id)

    # what to wait for

    def until_verdict(self, name: str, verdict: str, rdtype: str = "A") -> JsonObject:
        """Wait until an endpoint has a verdict, and return it."""

        def look() -> JsonObject | None:
            row = self.endpoint(name, rdtype)
            return row if row is not None and row["verdict"] == verdict else None

        return until(look, f"{name} {rdtype} is {verdict}")

    def until_polled_for(self, name: str, *, seconds: float, rdtype: str = "A") -> None:
        """Wait until an endpoint was polled for so long from now on."""
        row = self.endpoint(name, rdtype)
        assert row is not None, f"{name} {rdtype} is not watched"
        wanted = _instant(row["last_polled_at"]) + timedelta(seconds=seconds)

        def look() -> bool:
            now = self.endpoint(name, rdtype)
            return now is not None and _instant(now["last_polled_at"]) >= wanted

        until(look, f"{name} {rdtype} is polled for {seconds:g} s more")

    def until_found(self, code: str, zone: str = "", *, rrset: str | None = None, status: str = "open") -> JsonObject:
        """Wait for a confirmed finding, on that RRset if one is given, and return it."""

        def look() -> JsonObject | None:
            found = self.findings(zone, code=code, status=status)
            return next((one for one in found if rrset in (None, one["cause_rrset"])), None)

        return until(look, f"{code} at {rrset or zone or 'ourselves'} is {status}")

    def until_told(self, cause: str, event: str = "triggered") -> JsonObject:
        """Wait until the receiver got a notification about a cause, and return what it says."""

        def look() -> JsonObject | None:
            return next((told["data"] for told in self.told(cause) if told["type"] == f"incident.{event}"), None)

        return until(look, f"the receiver is told incident.{event} about {cause}")

    def told(self, cause: str = "") -> list[JsonObject]:
        """Return the notifications that arrived about a cause (about anything: empty), oldest first."""
        return [told for told in list(self.receiver.arrived) if cause in ("", told["data"]["cause"])]

    def account(self) -> str:
        """Return what is known of the run, for the reader of a failure."""
        lines = [self.logs(), "--- the receiver"]
        lines += [f"{told['type']} {told['data']['summary']}" for told in self.told()]
        with contextlib.suppress(AssertionError, urllib3.exceptions.HTTPError):
            lines += ["--- the findings, newest first"]
            for finding in self.get("findings"):
                where = finding["cause_zone"] or finding["cause_rrset"]
                sure = "" if finding["confirmed"] else ", unconfirmed"
                lines += [f"{finding['status']}{sure} {finding['code']} at {where}: {finding['detail']}"]
            lines += ["--- the verdicts"]
            lines += [f"{verdict:13} {name}" for name, verdict in self.verdicts().items()]
        return "\n".join(lines)


class Instance(Watch):
    """`anchorwatch run` over its restarts: same configuration, same data, same receiver."""

    def __init__(self, folder: Path, *, resolver: str, anchors: Path, inventory: str) -> None:
        super().__init__()
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}"
        (folder / "webhook.key").write_text(self.secret)
        (folder / "inventory.yaml").write_text(inventory)
        config = CONFIG.format(vantage=VANTAGE, resolver=resolver, anchors=anchors, hook=self.receiver.url, port=port)
        (folder / "anchorwatch.yaml").write_text(config)
        command: list[str | Path] = [sys.executable, "-m", "anchorwatch", "run", folder / "anchorwatch.yaml"]
        self._process = Daemon("anchorwatch", command, folder)

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        self._process.start()
        self._process.until_up(lambda: self.status(f"{self._url}/-/ready") == 200)

    def stop(self) -> int | None:
        """End it by SIGTERM and return its exit status."""
        return self._process.stop()

    def close(self) -> None:
        """End it and its receiver."""
        try:
            self.stop()
        finally:
            super().close()

    def url(self, path: str) -> str:
        """Return the one URL that it has."""
        return self._url

    def logs(self) -> str:
        """Return the end of its log."""
        return self._process.tail()


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
