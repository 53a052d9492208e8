"""The doors of the HTTP side: other hosts, other sites, odd parameters, tokens; and the headers of every answer."""

import asyncio
import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorwatch.configuration.loading import load_config
from anchorwatch.pipeline.progress import Progress
from anchorwatch.telemetry import Meter
from anchorwatch.web.api import Parts, make_app
from anchorwatch.web.config import HttpConfig
from anchorwatch.web.doors import Bucket, split_authority
from anchorwatch.web.guard import HEADERS
from anchorwatch.web.login import safe_path
from anchorwatch.web.oidc import Flow, make_flow_cookie, read_flow_cookie
from anchorwatch.web.people import Person, Role
from anchorwatch.web.session import SESSION_S, make_session, read_session, session_key
from schemas.faults import ConfigError

TOKEN = "0123456789abcdef0123456789abcdef"
OURS = "127.0.0.1:8053"
EVERYWHERE = HttpConfig(host="0.0.0.0", hosts=frozenset({"watch.corp.example"}), token=TOKEN)
LOCAL = HttpConfig()
KEY = session_key([TOKEN])
ANA = Person(Role.READ, "ana", "the proxy")
SESSION = make_session(KEY, ANA, 1.7e9, "ab" * 16)
BEARER = {"authorization": f"Bearer {TOKEN}"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()


class Broken:
    """A part with a bug in it: it lacks what is asked of it."""


def app_of(config: HttpConfig = LOCAL, **parts: Any) -> Any:
    return make_app(Parts(meter=Meter(), progress=Progress(lambda: 0.0), **parts), config)


def ask(
    app: Any,
    path: str,
    method: str = "GET",
    body: bytes = b"",
    /,
    *,
    host: str | None = OURS,
    peer: str = "127.0.0.1",
    local: str = "127.0.0.1",
    **headers: str,
) -> Answer:
    """Send one request, as a server hands it on."""
    path, _, query = path.partition("?")
    named = [("host", host)] if host is not None else []
    named += [(name.replace("_", "-"), value) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named],
        "client": (peer, 50000),
        "server": (local, 8053),
    }
    sent: list[Any] = []

    coming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return coming.pop() if coming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    cookies = tuple(value.decode() for name, value in sent[0]["headers"] if name == b"set-cookie")
    return Answer(sent[0]["status"], head, b"".join(part.get("body", b"") for part in sent[1:]), cookies)


class TestHost:
    @pytest.mark.parametrize(
        "host",
        ["localhost", "localhost:8053", "127.0.0.1:8053", "[::1]:8053", "LOCALHOST:1", "localhost.", "127.9.9.9"],
    )
    def test_this_machine_is_answered_under_its_own_names(self, host: str) -> None:
        assert ask(app_of(), "/-/reload", "POST", host=host).status == 404  # no collector here, but let in

    @pytest.mark.parametrize("path", ["/", "/api/v1/findings", "/-/reload", "/-/healthy", "/metrics", "/static/x.css"])
    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8053", "127.0.0.1.evil.example", "localhost.evil"])
    def test_a_name_that_others_point_at_us_is_not_answered(self, host: str, path: str) -> None:
        method = "POST" if path == "/-/reload" else "GET"

        assert ask(app_of(), path, method, host=host).status == 421

    @pytest.mark.parametrize("host", ["", "a b", "user@localhost", "localhost:99999", "localhost/x", "[::1", "é"])
    def test_what_is_no_host_is_a_bad_request(self, host: str) -> None:
        assert ask(app_of(), "/", host=host).status == 400

    def test_an_absent_host_is_for_health_checks_only(self) -> None:
        assert ask(app_of(), "/-/healthy", host=None).status == 200
        assert ask(app_of(), "/api/v1/findings", host=None).status == 400

    def test_prometheus_scrapes_by_address(self) -> None:
        app = app_of(EVERYWHERE)

        for path in ("/metrics", "/-/healthy", "/-/ready"):
            assert ask(app, path, host="172.20.0.7:8053", local="172.20.0.7", peer="172.20.0.9").status == 200
            assert ask(app, path, host="10.9.9.9:8053", local="172.20.0.7", peer="172.20.0.9").status == 200
        assert ask(app, "/api/v1/findings", host="10.9.9.9:8053", local="172.20.0.7", **BEARER).status == 421

    def test_names_of_the_configuration_and_the_address_itself_are_ours(self) -> None:
        app = app_of(EVERYWHERE)

        for host in ("watch.corp.example", "Watch.Corp.Example:443", "172.20.0.7:8053"):
            answer = ask(app, "/api/v1/incidents", host=host, local="172.20.0.7", **BEARER)
            assert answer.status == 404, host  # no alerts stage here, but let in


class TestOtherSites:
    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": "http://127.0.0.1:3000"},
            {"origin": "https://127.0.0.1:8053.evil.example"},
            {"origin": "file://"},
            {"origin": ""},
            {"origin": f"http://{OURS}", "sec_fetch_site": "cross-site"},
            {"sec_fetch_site": "same-site"},
            {"sec_fetch_site": "cross-site"},
        ],
    )
    @pytest.mark.parametrize("path", ["/-/reload", "/-/login", "/-/logout"])
    def test_a_page_of_another_site_changes_nothing(self, headers: dict[str, str], path: str) -> None:
        read: list[int] = []
        app = app_of(reload=lambda: read.append(1))

        assert ask(app, path, "POST", **headers).status == 403
        assert not read

    @pytest.mark.parametrize(
        "headers",
        [{}, {"origin": f"http://{OURS}"}, {"origin": f"http://{OURS}", "sec_fetch_site": "same-origin"}],
        ids=["no browser", "our page", "our page, said twice"],
    )
    def test_a_script_and_our_own_page_may(self, headers: dict[str, str]) -> None:
        read: list[int] = []
        app = app_of(reload=lambda: read.append(1))

        assert ask(app, "/-/reload", "POST", **headers).status == 200
        assert read == [1]

    def test_the_name_that_a_proxy_shows_is_ours(self) -> None:
        read: list[int] = []
        app = app_of(EVERYWHERE, reload=lambda: read.append(1))

        answer = ask(app, "/-/reload", "POST", origin="https://watch.corp.example", **BEARER)

        assert answer.status == 200
        assert ask(app, "/-/reload", "POST", origin="https://watch.corp.example:444", **BEARER).status == 403


def test_reloads_are_limited_in_rate() -> None:
    read: list[int] = []
    app = app_of(reload=lambda: read.append(1))

    answers = [ask(app, "/-/reload", "POST") for _ in range(50)]

    assert len(read) == 3
    assert {answer.status for answer in answers[3:]} == {429}
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10


def test_a_bucket_fills_with_time() -> None:
    bucket = Bucket(2, 10.0)

    assert [bucket.take(at) for at in (100.0, 100.0, 100.0, 105.0, 110.0, 110.0)] == [0, 0, 10, 5, 0, 10]


def test_a_bucket_survives_a_clock_that_does_not_move_forward() -> None:
    bucket = Bucket(1, 10.0)
    bucket.take(100.0)

    assert bucket.take(50.0) > 0


class TestParameters:
    @pytest.mark.parametrize(
        "query",
        [
            "/api/v1/findings?limit=many",
            "/api/v1/findings?limit=",
            "/api/v1/findings?limit=-1",
            "/api/v1/findings?limit=0",
            "/api/v1/findings?limit=1e3",
            "/api/v1/findings?limit=%C2%B2",
            "/api/v1/findings?limit=" + "9" * 240,
            "/api/v1/findings?limit=10001",
            "/api/v1/findings?limit=5&limit=6",
            "/api/v1/findings?since=yesterday",
            "/api/v1/findings?since=2026-01-01",
            "/api/v1/findings?status=half",
            "/api/v1/findings?sort=asc",
            "/api/v1/findings?code=%00",
            "/api/v1/findings?zone=" + "a" * 300,
            "/api/v1/findings?zone=%E2%80%AE",
            "/api/v1/endpoints?verdict=good",
            "/api/v1/endpoints?Name=a.example",
            "/api/v1/endpoints?name=a..b",
            "/api/v1/identities?id=x",
            "/api/v1/incidents?open=1",
            "/api/v1/notifications?limit=x",
            "/api/v1/history",
            "/api/v1/history?name=" + "a" * 64,
            "/api/v1/history?name=a.example&extra=1",
            "/api/v1/evidence/abc?x=1",
            "/?query=x",
            "/findings/abc?x=1",
            "/endpoints/a.example?x=1",
            "/-/login?then=/",
        ],
    )
    def test_what_does_not_fit_is_told(self, query: str) -> None:
        answer = ask(app_of(analyzer=Broken(), history=Broken(), ledger=Broken()), query)

        assert answer.status == 400
        assert json.loads(answer.body)["error"]

    @pytest.mark.parametrize("key", ["\x00", "a\nb", "x" * 5000, "\u202e", "../../etc/passwd", "a b"])
    @pytest.mark.parametrize("path", ["/api/v1/evidence/", "/findings/", "/endpoints/"])
    def test_ids_that_can_not_be_are_not_found(self, path: str, key: str) -> None:
        answer = ask(app_of(analyzer=Broken(), history=Broken(), ledger=Broken()), path + key)

        assert answer.status == 404

    @settings(deadline=None)
    @given(value=st.text(max_size=300))
    def test_no_number_breaks_a_list(self, value: str) -> None:
        from urllib.parse import quote

        answer = ask(app_of(), "/api/v1/incidents?limit=" + quote(value.encode("utf-8", "surrogatepass")))

        assert answer.status in (400, 404)


class TestHeaders:
    @pytest.mark.parametrize(
        ("path", "method", "status", "options"),
        [
            ("/-/healthy", "GET", 200, {}),
            ("/metrics", "GET", 200, {}),
            ("/static/anchorwatch.css", "GET", 200, {}),
            ("/static/none.css", "GET", 404, {}),
            ("/static/../api.py", "GET", 404, {}),
            ("/nowhere", "GET", 404, {}),
            ("/api/v1/findings", "POST", 405, {}),
            ("/-/reload", "GET", 405, {}),
            ("/api/v1/findings", "TRACE", 405, {}),
            ("/api/v1/findings?limit=x", "GET", 400, {}),
            ("/api/v1/findings", "GET", 421, {"host": "evil.example"}),
            ("/-/reload", "POST", 403, {"origin": "https://evil.example"}),
            ("/api/v1/endpoints", "GET", 500, {}),
            ("/", "GET", 500, {}),
        ],
    )
    def test_every_answer_has_them(self, path: str, method: str, status: int, options: dict[str, str]) -> None:
        answer = ask(app_of(analyzer=Broken()), path, method, **options)

        assert answer.status == status if path != "/" else answer.status in (404, 500)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS

    def test_an_answer_that_asks_for_a_token_has_them_too(self) -> None:
        answer = ask(app_of(EVERYWHERE), "/api/v1/findings")

        assert answer.status == 401
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS

    def test_a_fault_of_our_own_tells_nothing_of_our_insides(self) -> None:
        answer = ask(app_of(analyzer=Broken()), "/api/v1/endpoints")

        assert answer.status == 500
        assert b"Broken" not in answer.body
        assert b"Traceback" not in answer.body


class TestToken:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"authorization": "Bearer"},
            {"authorization": "Bearer "},
            {"authorization": "Bearer wrong"},
            {"authorization": f"Bearer {TOKEN}x"},
            {"authorization": f"Basic {TOKEN}"},
            {"authorization": TOKEN},
            {"authorization": "Bearer \xe9\xff"},
            {"cookie": f"anchorwatch_session={TOKEN}"},
            {"cookie": "anchorwatch_session=9999999999." + "0" * 32 + "." + "0" * 64},
        ],
    )
    @pytest.mark.parametrize(
        "path", ["/api/v1/findings", "/api/v1/evidence/x", "/api/v1/nothing", "/-/reload", "/-/debug"]
    )
    def test_nobody_without_it_hears_anything(self, path: str, headers: dict[str, str]) -> None:
        answer = ask(app_of(EVERYWHERE), path, "POST" if path == "/-/reload" else "GET", **headers)

        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize(
        "path", ["/", "/findings/abc", "/endpoints/a.example.", "/nowhere", "//", "/API/v1/findings"]
    )
    def test_a_page_sends_people_to_log_in(self, path: str) -> None:
        answer = ask(app_of(EVERYWHERE), path)

        assert answer.status == 303
        assert answer.headers["location"].startswith("/-/login?next=/")

    def test_health_and_metrics_ask_for_none(self) -> None:
        for path in ("/-/healthy", "/-/ready", "/metrics"):
            assert ask(app_of(EVERYWHERE), path).status == 200

    def test_metrics_ask_for_it_where_they_are_protected(self) -> None:
        app = app_of(HttpConfig(host="0.0.0.0", token=TOKEN, protect_metrics=True))

        assert ask(app, "/metrics").status == 401
        assert ask(app, "/metrics", host="10.0.0.1:8053", **BEARER).status == 200
        assert ask(app, "/-/healthy").status == 200

    def log_in(self, app: Any, token: str, **more: Any) -> Answer:
        return ask(app, "/-/login", "POST", f"token={token}&next=/findings/abc".encode(), **more)

    def test_the_page_exchanges_it_for_a_session(self) -> None:
        app = app_of(EVERYWHERE)

        answer = self.log_in(app, TOKEN)

        assert (answer.status, answer.headers["location"]) == (303, "/findings/abc")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Secure" not in cookie
        assert TOKEN not in cookie
        session = cookie.split(";")[0]
        assert ask(app, "/api/v1/findings", cookie=session).status == 404  # no analyzer here, but let in
        other = app_of(HttpConfig(host="0.0.0.0", token=TOKEN[::-1]))
        assert ask(other, "/api/v1/findings", cookie=session).status == 401

    def test_a_session_over_https_is_for_https_only(self) -> None:
        config = HttpConfig(host="0.0.0.0", token=TOKEN, proxies=(ip_network("10.0.0.0/24"),))

        through = self.log_in(app_of(config), TOKEN, peer="10.0.0.5", x_forwarded_proto="https")
        beside = self.log_in(app_of(config), TOKEN, peer="127.0.0.1", x_forwarded_proto="https")

        assert "; Secure" in through.headers["set-cookie"]
        assert "; Secure" not in beside.headers["set-cookie"]

    def test_a_wrong_one_is_refused_and_tries_are_limited(self) -> None:
        app = app_of(EVERYWHERE)

        statuses = [self.log_in(app, "wrong").status for _ in range(40)]

        assert statuses[0] == 401
        assert statuses[-1] == 429

    @pytest.mark.parametrize("body", [b"", b"token", b"token=%ff", b"\xff\xfe", b"a=1&b=2&c=3&d=4&e=5", b"t" * 9000])
    def test_what_is_no_form_logs_nobody_in(self, body: bytes) -> None:
        answer = ask(app_of(EVERYWHERE), "/-/login", "POST", body)

        assert answer.status in (400, 401, 413)
        assert "set-cookie" not in answer.headers

    def test_leaving_takes_the_session_back(self) -> None:
        answer = ask(app_of(EVERYWHERE), "/-/logout", "POST")

        assert answer.status == 303
        assert "Max-Age=0" in answer.headers["set-cookie"]

    def test_a_session_ends(self) -> None:
        session = make_session(KEY, ANA, 1000.0, "0" * 32)

        assert read_session(session, KEY, 1000.0 + SESSION_S - 1) == ANA
        assert read_session(session, KEY, 1000.0 + SESSION_S) is None
        assert read_session(session, KEY, 1000.0 - SESSION_S) is None, "made by a clock that ran ahead"

    @settings(deadline=None)
    @given(position=st.integers(0, len(SESSION) - 1), sign=st.sampled_from("0123456789abcdef.AZ_-=é"))
    def test_a_session_that_was_changed_is_none(self, position: int, sign: str) -> None:
        changed = SESSION[:position] + sign + SESSION[position + 1 :]

        assert read_session(changed, KEY, 1.7e9) == (ANA if changed == SESSION else None)

    def test_what_was_signed_for_another_purpose_is_no_session(self) -> None:
        flow = make_flow_cookie(Flow("s", "n", "v", "/"), KEY, 1.7e9)

        assert read_session(flow, KEY, 1.7e9) is None
        assert read_flow_cookie(SESSION, KEY, 1.7e9) is None

    @pytest.mark.parametrize(
        "text", ["//evil.example", "/\\evil.example", "https://evil.example", "", "x", "/\n/", "/é"]
    )
    def test_nobody_is_sent_elsewhere_after_the_login(self, text: str) -> None:
        assert safe_path(text) == "/"

    def test_without_a_token_there_is_no_login(self) -> None:
        assert ask(app_of(), "/-/login").headers["location"] == "/"


class TestProxy:
    CONFIG = HttpConfig(host="0.0.0.0", proxies=(ip_network("10.0.0.0/24"), ip_network("fd00::/8")))

    @pytest.mark.parametrize(
        ("peer", "status"),
        [("10.0.0.9", 404), ("::ffff:10.0.0.9", 404), ("fd00::1", 404), ("127.0.0.1", 404), ("10.0.1.9", 403)],
    )
    def test_only_the_proxy_is_answered(self, peer: str, status: int) -> None:
        answer = ask(app_of(self.CONFIG), "/api/v1/findings", peer=peer, x_forwarded_for="10.0.0.9")

        assert answer.status == status

    def test_metrics_and_health_are_for_everyone(self) -> None:
        assert ask(app_of(self.CONFIG), "/metrics", peer="192.0.2.1", host="10.0.0.1").status == 200


@settings(deadline=None)
@given(text=st.text(max_size=80))
def test_an_authority_is_read_or_refused(text: str) -> None:
    try:
        host, port = split_authority(text)
    except ValueError:
        return
    assert host == host.lower()
    assert port is None or 0 <= port <= 65535


def configure(folder: Path, http: str) -> Any:
    (folder / "inventory.yaml").write_text("identities: []\n")
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "short").write_text("hunter2\n")
    (folder / "odd").write_text("zwölf Boxkämpfer jagen\n")
    (folder / "anchorwatch.yaml").write_text(f"inventory: [{{path: inventory.yaml}}]\nhttp: {http}\n")
    return load_config(folder / "anchorwatch.yaml").http


@pytest.mark.parametrize(
    ("http", "said"),
    [
        ('{listen: "0.0.0.0:8053"}', "http.token_file"),
        ('{listen: "[::]:8053"}', "http.behind_proxy"),
        ('{listen: "192.0.2.1:8053"}', "others can reach"),
        ('{listen: "watch.corp.example:8053"}', "others can reach"),
        ('{listen: "0.0.0.0:8053", token_file: none}', "http.token_file"),
        ('{listen: "0.0.0.0:8053", token_file: short}', "at least 16"),
        ('{listen: "0.0.0.0:8053", token_file: odd}', "printable ASCII"),
        ('{listen: "0.0.0.0:8053", behind_proxy: [10.0.0.1/8]}', "no network"),
        ('{hosts: ["https://watch.corp.example"]}', "http.hosts[0]"),
        ('{hosts: ["watch.corp.example:8053"]}', "without a port"),
    ],
)
def test_a_door_that_stands_open_is_refused_at_the_start(tmp_path: Path, http: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(tmp_path, http)

    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "http",
    [
        '{listen: "127.0.0.1:0"}',
        '{listen: "[::1]:0"}',
        '{listen: "localhost:0"}',
        '{listen: "0.0.0.0:0", token_file: token}',
        '{listen: "0.0.0.0:0", behind_proxy: [10.0.0.0/8, "fd00::/8"]}',
    ],
)
def test_a_door_with_a_lock_is_taken(tmp_path: Path, http: str) -> None:
    assert configure(tmp_path, http).port == 0
