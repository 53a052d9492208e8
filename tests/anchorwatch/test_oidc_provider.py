"""Sign-in with an OpenID provider that others wrote, in a process of its own, and an instance as a process."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import urllib3

from tests.support.daemons import free_port
from tests.support.office import Office
from tests.support.running import Lab, environment, running

PROGRAM = Path(sys.executable).parent / "oidc-provider-mock"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM.exists(), reason="needs oidc-provider-mock: pip install -e .[dev]"),
]
PEOPLE = (
    {"sub": "u-1", "preferred_username": "ana", "groups": ["sre"]},
    {"sub": "u-2", "preferred_username": "bo", "groups": ["staff"]},
    {"sub": "u-3", "preferred_username": "eve", "groups": []},
)
ACT = {"kind": "declare_change", "subject": "soap.legacy.example", "by": "root", "why": "moved", "what": ["keys"]}


@pytest.fixture
def issuer() -> Iterator[str]:
    port = free_port()
    people = [word for one in PEOPLE for word in ("--user-claims", json.dumps(one))]
    process = subprocess.Popen([PROGRAM, "--port", str(port), *people], env=environment(), stderr=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


class Browser:
    """Follows where it is sent, by hand, and keeps cookies by host and port."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}

    def ask(self, method: str, url: str, **more: Any) -> urllib3.BaseHTTPResponse:
        site = "/".join(url.split("/")[:3])
        jar = self.cookies.setdefault(site, {})
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} | more.pop("headers", {})
        answer = urllib3.request(method, url, headers=headers, redirect=False, retries=False, timeout=30, **more)
        for cookie in answer.headers.getlist("set-cookie"):
            name, _, value = cookie.split(";")[0].partition("=")
            jar[name] = value
            if "Max-Age=0" in cookie:
                del jar[name]
        return answer

    def log_in(self, url: str, sub: str) -> urllib3.BaseHTTPResponse:
        begun = self.ask("GET", f"{url}/-/oidc/start?next=/silences")
        assert begun.status == 303, begun.data
        asked = self.ask("GET", begun.headers["location"])
        assert asked.status == 200, asked.data
        named = self.ask("POST", begun.headers["location"], fields={"sub": sub})
        assert named.status in (302, 303), named.data
        return self.ask("GET", urljoin(begun.headers["location"], named.headers["location"]))


def test_people_log_in_act_and_stay_over_a_restart(issuer: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    office = Office(tmp_path, lab)
    (tmp_path / "secret").write_text("a secret of the client")
    (tmp_path / "token").write_text("0123456789abcdef0123456789abcdef")
    http = (
        f"public_url: '{office.url}', token_file: token, roles: {{act: [sre], read: [staff]}},"
        f" oidc: {{issuer: '{issuer}', client_id: anchorwatch, client_secret_file: secret}}, "
    )
    office.config.write_text(office.config.read_text().replace("http: {", "http: {" + http))
    begins_at = datetime.now(UTC) + timedelta(days=1)
    times = {"begins_at": begins_at.isoformat(), "ends_at": (begins_at + timedelta(hours=1)).isoformat()}
    ana, bo, eve = Browser(), Browser(), Browser()

    with running(office.config, office.url) as one:
        one.until(lambda: one.ask("/-/ready")[0] == 200, "it to be ready")
        assert one.ask("/api/v1/silences")[0] == 401
        entered = ana.log_in(office.url, "u-1")
        assert entered.status == 200
        assert re.search(rb'content="0; url=/silences"', entered.data)
        assert bo.log_in(office.url, "u-2").status == 200
        assert eve.log_in(office.url, "u-3").status == 403

        for browser, reads, acts in ((ana, 200, 202), (bo, 200, 403), (eve, 401, 401)):
            assert browser.ask("GET", f"{office.url}/api/v1/silences").status == reads
            done = browser.ask("POST", f"{office.url}/api/v1/acts", json={**ACT, **times})
            assert done.status == acts, done.data
            if acts == 202:
                (act,) = done.json()
                assert act["by"] == "ana"
                assert act["source"] == "API, from 127.0.0.1, by OpenID subject u-1"

    with running(office.config, office.url) as again:
        again.until(lambda: again.ask("/-/ready")[0] == 200, "it to be ready")
        assert ana.ask("GET", f"{office.url}/api/v1/silences").status == 200
        ana.ask("POST", f"{office.url}/-/logout")
        assert ana.ask("GET", f"{office.url}/api/v1/silences").status == 401
    lab.close()
