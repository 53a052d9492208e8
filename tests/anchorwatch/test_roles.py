"""Who may what: tokens that read and tokens that act, and people for whom a proxy vouches; and who only says so."""

import asyncio
import json
import logging
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anchorwatch.configuration.loading import load_config
from anchorwatch.web.config import HttpConfig, ProxyAuth
from anchorwatch.web.people import Role, Roles
from schemas.faults import ConfigError
from schemas.messages import Act
from tests.anchorwatch.test_doors import OURS, TOKEN, Answer, app_of, ask

READ = TOKEN[::-1]
TOKENS = HttpConfig(host="0.0.0.0", token=TOKEN, read_token=READ)
PROXY = "10.0.0.5"
BEHIND = HttpConfig(
    host="0.0.0.0",
    proxies=(ip_network("10.0.0.0/24"),),
    proxy_auth=ProxyAuth(user_header="x-forwarded-user", groups_header="x-forwarded-groups"),
    roles=Roles(act=frozenset({"sre"}), read=frozenset({"staff"})),
)
CHANGE = (
    b'{"kind": "declare_change", "subject": "a.example", "by": "somebody else", "why": "moved", "what": ["keys"],'
    b' "begins_at": "2026-12-01T00:00:00Z", "ends_at": "2026-12-02T00:00:00Z"}'
)
FORM = b"kind=silence&by=somebody+else&why=w&matchers=owner%3Da&lasts=2h"


class Empty:
    """A history and a ledger with nothing in them."""

    def standing_acts(self, kinds: Any) -> list[Act]:
        return []

    def silences(self) -> list[Any]:
        return []

    def incidents(self, limit: int) -> list[Any]:
        return []


class Stages:
    """Where acts go to."""

    def __init__(self) -> None:
        self.taken: list[Act] = []

    async def send(self, acts: Sequence[Any]) -> None:
        self.taken += acts


def post(app: Any, path: str = "/api/v1/acts", body: bytes = CHANGE, /, **headers: Any) -> Answer:
    kind = "application/x-www-form-urlencoded" if body == FORM else "application/json"
    return ask(app, path, "POST", body, content_type=kind, **headers)


def standing(config: HttpConfig) -> tuple[Any, Stages]:
    stages = Stages()
    return app_of(config, history=Empty(), ledger=Empty(), act=stages.send, reload=lambda: None), stages


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


class TestTokens:
    def test_the_token_that_reads_does_not_act(self) -> None:
        app, stages = standing(TOKENS)

        assert ask(app, "/api/v1/silences", **bearer(READ)).status == 200
        for path in ("/api/v1/acts", "/-/reload", "/silences", "/incidents/abcd"):
            answer = post(app, path, **bearer(READ))
            assert answer.status == 403, path
            assert json.loads(answer.body)["detail"] == "you may read only: this is for those who may act"
        assert stages.taken == []

    def test_who_only_reads_is_shown_no_form_that_would_be_refused(self) -> None:
        app, _ = standing(TOKENS)

        assert b'value="silence"' in ask(app, "/silences", **bearer(TOKEN)).body
        assert b'value="silence"' not in ask(app, "/silences", **bearer(READ)).body

    def test_who_only_reads_may_ask_for_a_validation(self) -> None:
        app, _ = standing(TOKENS)

        assert post(app, "/explain", FORM, **bearer(READ)).status == 404, "these stages have no resolvers"
        assert post(app, "/explain", FORM).status == 401

    def test_the_token_that_acts_does(self) -> None:
        app, stages = standing(TOKENS)

        assert post(app, **bearer(TOKEN)).status == 202
        assert stages.taken[0].by == "somebody else", "nobody vouches for a name beside a token"

    def test_a_session_may_what_its_token_may(self) -> None:
        app, _ = standing(TOKENS)
        for token, status in ((READ, 403), (TOKEN, 202)):
            cookie = ask(app, "/-/login", "POST", f"token={token}".encode()).headers["set-cookie"].split(";")[0]

            assert ask(app, "/api/v1/silences", cookie=cookie).status == 200
            assert post(app, cookie=cookie).status == status

    def test_a_session_outlives_a_restart_and_ends_with_its_secrets(self) -> None:
        cookie = ask(standing(TOKENS)[0], "/-/login", "POST", f"token={READ}".encode()).headers["set-cookie"]
        session = cookie.split(";")[0]

        assert ask(standing(TOKENS)[0], "/api/v1/silences", cookie=session).status == 200
        for changed in ({"token": "x" * 32}, {"read_token": "y" * 32}):
            other = msgspec.structs.replace(TOKENS, **changed)
            assert ask(standing(other)[0], "/api/v1/silences", cookie=session).status == 401

    def test_who_reads_may_still_sign_out(self) -> None:
        app, _ = standing(TOKENS)

        assert ask(app, "/-/logout", "POST", **bearer(READ)).status == 303


class TestProxy:
    def by(self, user: str | None, groups: str | None = None, path: str = "/api/v1/silences", **more: Any) -> Answer:
        given = {"x_forwarded_user": user, "x_forwarded_groups": groups}
        headers = {name: value for name, value in given.items() if value is not None}
        app = more.pop("app", None) or standing(BEHIND)[0]
        return ask(app, path, peer=more.pop("peer", PROXY), **headers, **more)

    @pytest.mark.parametrize(
        ("groups", "reads", "acts"),
        [
            ("sre", 200, 202),
            ("staff", 200, 403),
            ("staff, sre", 200, 202),
            ("other", 403, 403),
            ("", 403, 403),
            ("SRE", 403, 403),
            ("*", 403, 403),
            (None, 403, 403),
        ],
    )
    def test_groups_are_roles(self, groups: str | None, reads: int, acts: int) -> None:
        app, stages = standing(BEHIND)
        headers = {"x_forwarded_groups": groups} if groups is not None else {}

        assert self.by("ana", groups).status == reads
        assert post(app, peer=PROXY, x_forwarded_user="ana", **headers).status == acts
        assert [(act.by, act.source) for act in stages.taken] == (
            [("ana", f"API, from {PROXY}, by the proxy")] if acts == 202 else []
        )

    def test_a_form_is_in_the_name_of_who_is_there_too(self) -> None:
        app, stages = standing(BEHIND)

        answer = post(app, "/silences", FORM, peer=PROXY, x_forwarded_user="ana", x_forwarded_groups="sre")

        assert answer.status == 303
        assert stages.taken[0].by == "ana"

    def test_a_page_knows_who_it_is_shown_to(self) -> None:
        app, _ = standing(BEHIND)

        shown = ask(app, "/silences", peer=PROXY, x_forwarded_user="ana", x_forwarded_groups="sre").body

        assert b"As ana" in shown
        assert b'name="by"' not in shown

    @pytest.mark.parametrize("path", ["/api/v1/silences", "/", "/-/login", "/static/anchorwatch.css"])
    @pytest.mark.parametrize("header", ["x_forwarded_user", "x_forwarded_groups"])
    @pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "192.0.2.1", "10.0.1.5"])
    def test_who_names_himself_is_refused_aloud(
        self, peer: str, header: str, path: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            answer = ask(standing(BEHIND)[0], path, peer=peer, **{header: "sre"})

        assert answer.status == 403
        if peer in ("127.0.0.1", "::1"):
            assert "named its person itself" in caplog.text

    @pytest.mark.parametrize("name", ["", " ", "a\tb", "x" * 101, "\x7f", "a\x85b"])
    def test_a_name_that_is_none_is_refused(self, name: str) -> None:
        assert self.by(name, "sre").status == 400 if name else 401

    def test_nobody_is_not_let_in(self) -> None:
        assert self.by(None).status == 401
        assert self.by(None, "sre").status == 401

    def test_everybody_is_a_group_that_only_the_configuration_names(self) -> None:
        assert Roles(read=frozenset({"*"})).of([]) is Role.READ
        assert Roles(read=frozenset({"staff"})).of(["*"]) is None

    @pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}])
    def test_a_page_of_another_site_acts_for_nobody(self, headers: dict[str, str]) -> None:
        app, stages = standing(BEHIND)

        assert post(app, peer=PROXY, x_forwarded_user="ana", x_forwarded_groups="sre", **headers).status == 403
        assert stages.taken == []


def test_a_header_that_comes_twice_is_refused() -> None:
    app, _ = standing(BEHIND)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/silences",
        "raw_path": b"/api/v1/silences",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", OURS.encode()),
            (b"x-forwarded-user", b"mallory"),
            (b"x-forwarded-user", b"ana"),
            (b"x-forwarded-groups", b"sre"),
        ],
        "client": (PROXY, 50000),
        "server": ("127.0.0.1", 8053),
    }
    asyncio.run(app(scope, receive, send))

    assert sent[0]["status"] == 400
    assert b"more than once" in sent[1]["body"]


def configure(folder: Path, http: str) -> Any:
    (folder / "inventory.yaml").write_text("identities: []\n")
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "same").write_text(TOKEN + "\n")
    (folder / "read").write_text(READ + "\n")
    (folder / "anchorwatch.yaml").write_text(f"inventory: [{{path: inventory.yaml}}]\nhttp: {http}\n")
    return load_config(folder / "anchorwatch.yaml")


AUTH = "behind_proxy: [10.0.0.0/28], proxy_auth: {user_header: X-User}"
OIDC = "oidc: {issuer: 'https://login.example', client_id: aw}"
PUBLIC = "public_url: 'https://watch.example'"


@pytest.mark.parametrize(
    ("http", "said"),
    [
        ("{token_file: token, read_token_file: same}", "make another one"),
        ("{proxy_auth: {user_header: X-User}, roles: {read: ['*']}}", "name in http.behind_proxy"),
        (f"{{{AUTH}}}", "say which groups may act"),
        (f"{{{AUTH.replace('X-User', 'Cookie')}, roles: {{read: ['*']}}}}", "is no header"),
        (f"{{{AUTH.replace('X-User', 'X User')}, roles: {{read: ['*']}}}}", "is no header"),
        ("{roles: {act: [sre]}}", "it takes http.proxy_auth or http.oidc"),
        (f"{{{OIDC}, roles: {{act: [sre]}}}}", "name http.public_url"),
        (f"{{{OIDC}, {PUBLIC}}}", "say which groups may act"),
        (f"{{{OIDC.replace('https', 'http')}, {PUBLIC}, roles: {{act: [sre]}}}}", "http.oidc.issuer"),
        (f"{{{OIDC.replace('}', ', client_secret_file: none}')}, {PUBLIC}, roles: {{act: [a]}}}}", "can't be read"),
    ],
)
def test_what_would_let_in_others_is_refused_at_the_start(tmp_path: Path, http: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(tmp_path, http)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("http", "warned"),
    [
        (f"{{{AUTH}, roles: {{read: ['*']}}}}", ""),
        (f"{{{AUTH.replace('/28', '/8')}, roles: {{read: ['*']}}}}", "whatever sends from 10.0.0.0/8"),
        (f"{{{AUTH.replace('10.0.0.0/28', '127.0.0.1')}, roles: {{read: ['*']}}}}", "from 127.0.0.1/32 may say"),
        (f"{{{OIDC}, {PUBLIC}, roles: {{act: [sre]}}}}", "sessions end with the process"),
        (f"{{token_file: token, {OIDC}, {PUBLIC}, roles: {{act: [sre]}}}}", ""),
    ],
)
def test_what_may_let_in_others_is_warned_of(tmp_path: Path, http: str, warned: str) -> None:
    config = configure(tmp_path, http)

    about_doors = [one for one in config.warnings if one.startswith("http.")]
    assert bool(about_doors) is bool(warned)
    assert warned in "".join(about_doors)


def test_people_come_to_where_the_provider_sends_them(tmp_path: Path) -> None:
    http = configure(tmp_path, f"{{token_file: token, {OIDC}, {PUBLIC}, roles: {{act: [sre]}}}}").http

    assert http.oidc.redirect_uri == "https://watch.example/-/oidc/callback"
    assert "watch.example" in http.hosts
