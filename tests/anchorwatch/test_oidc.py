"""Sign-in through an OpenID provider: who comes in, and what does not count as a proof of who somebody is."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc.jwk import ECKey

from anchorwatch.web.config import HttpConfig, OidcConfig
from anchorwatch.web.oidc import Untrusted, is_safe_url, read_keys, read_metadata
from anchorwatch.web.people import Roles
from anchorwatch.web.provider import Provider
from tests.anchorwatch.test_doors import OURS, TOKEN, Answer, app_of, ask
from tests.anchorwatch.test_roles import CHANGE, Empty, Stages
from tests.support.provider import CLIENT, SECRET, LyingProvider, by_hand, lying_provider, with_secret


@pytest.fixture
def provider() -> Iterator[LyingProvider]:
    with lying_provider() as found:
        yield found


def config_for(provider: LyingProvider, secret: str = SECRET, **changes: Any) -> HttpConfig:
    oidc = OidcConfig(
        issuer=provider.issuer,
        client_id=CLIENT,
        client_secret=secret,
        redirect_uri=f"http://{OURS}/-/oidc/callback",
    )
    roles = Roles(act=frozenset({"sre"}), read=frozenset({"staff"}))
    return HttpConfig(**{"token": TOKEN, "oidc": oidc, "roles": roles, "public_url": f"http://{OURS}", **changes})


class Browser:
    """A browser that goes to the provider and comes back."""

    def __init__(self, config: HttpConfig) -> None:
        self.stages = Stages()
        self.app = app_of(config, history=Empty(), ledger=Empty(), act=self.stages.send)
        self.cookies: dict[str, str] = {}

    def get(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """Ask; cookies are kept as a browser keeps them."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = ask(self.app, path, method, body, **headers, **({"cookie": cookie} if cookie else {}))
        for cookie in answer.cookies:
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in cookie:
                del self.cookies[name]
        return answer

    def begin(self, path: str = "/findings/abc") -> Answer:
        return self.get(f"/-/oidc/start?{urlencode({'next': path})}")

    def come_back(self, given: dict[str, str]) -> Answer:
        return self.get(f"/-/oidc/callback?{urlencode(given)}", sec_fetch_site="cross-site")

    def sign_in(self, provider: LyingProvider, **changes: str | None) -> Answer:
        begun = self.begin()
        assert begun.status == 303, begun
        given = {**provider.authorize(begun.headers["location"]), **changes}
        return self.come_back({key: value for key, value in given.items() if value is not None})

    @property
    def is_in(self) -> bool:
        return self.get("/api/v1/silences").status == 200


@pytest.fixture
def browser(provider: LyingProvider) -> Browser:
    return Browser(config_for(provider))


def test_who_the_provider_names_comes_in_and_acts_under_that_name(browser: Browser, provider: LyingProvider) -> None:
    answer = browser.sign_in(provider)

    assert answer.status == 200
    assert b'content="0; url=/findings/abc"' in answer.body
    assert b"You are logged in as ana" in answer.body
    assert browser.is_in
    done = browser.get("/api/v1/acts", "POST", CHANGE, content_type="application/json", origin=f"http://{OURS}")
    assert done.status == 202
    assert [(act.by, act.source) for act in browser.stages.taken] == [
        ("ana", "API, from 127.0.0.1, by OpenID subject u-1")
    ]


def test_the_browser_is_sent_to_the_provider_and_nothing_secret_is_in_the_url(browser: Browser) -> None:
    location = browser.begin().headers["location"]
    query = {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}

    assert query["redirect_uri"] == f"http://{OURS}/-/oidc/callback"
    assert query["client_id"] == CLIENT
    assert {"state", "nonce", "code_challenge"} <= set(query)
    assert SECRET not in location
    assert len({browser.begin().headers["location"] for _ in range(3)}) == 3


def test_cookies_are_for_our_server_alone(provider: LyingProvider) -> None:
    config = config_for(provider, public_url="https://watch.corp.example", hosts=frozenset({"watch.corp.example"}))
    for host, secure in ((OURS, False), ("watch.corp.example", True)):
        app = app_of(config, history=Empty(), ledger=Empty())
        begun = ask(app, "/-/oidc/start", host=host)
        cookie = begun.headers["set-cookie"]
        given = provider.authorize(begun.headers["location"])

        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/-/oidc;" in cookie
        assert "Max-Age=600" in cookie
        assert ("; Secure" in cookie) is secure
        ended = ask(app, f"/-/oidc/callback?{urlencode(given)}", host=host, cookie=cookie.split(";")[0])
        assert ended.status == 200


def test_groups_are_roles(browser: Browser, provider: LyingProvider) -> None:
    provider.claims = {"groups": "staff"}
    browser.sign_in(provider)

    assert browser.is_in
    assert browser.get("/api/v1/acts", "POST", CHANGE, content_type="application/json").status == 403
    assert browser.stages.taken == []


@pytest.mark.parametrize("groups", [["other"], [], None, "SRE", {"sre": True}, [["sre"]], 7, ["*"]])
def test_who_is_in_no_group_is_told_so_and_stays_out(browser: Browser, provider: LyingProvider, groups: Any) -> None:
    provider.claims = {"groups": groups}

    answer = browser.sign_in(provider)

    assert answer.status == 403
    assert b"ana is in no group of http.roles" in answer.body
    assert not browser.is_in


def lie(provider: LyingProvider, kind: str) -> None:
    now = int(time.time())
    claims: dict[str, dict[str, Any]] = {
        "nonce": {"nonce": "another"},
        "no nonce": {"nonce": None},
        "audience": {"aud": "another"},
        "no audience": {"aud": None},
        "more audiences": {"aud": [CLIENT, "another"]},
        "party": {"aud": [CLIENT, "another"], "azp": "another"},
        "issuer": {"iss": "https://other.example"},
        "no issuer": {"iss": None},
        "issuer with a slash": {"iss": f"{provider.issuer}/"},
        "expired": {"exp": now - 120, "iat": now - 400},
        "no end": {"exp": None},
        "end is text": {"exp": "9999999999"},
        "end is true": {"exp": True},
        "old": {"iat": now - 3600},
        "from the future": {"iat": now + 3600},
        "not yet": {"nbf": now + 3600},
        "nobody": {"sub": None},
        "nobody printable": {"sub": "\u202e"},
        "number": {"sub": 5},
    }
    provider.claims = claims.get(kind, {})
    match kind:
        case "none":
            provider.header, provider.sign = {"alg": "none"}, lambda signed: b""
        case "None":
            provider.header, provider.sign = {"alg": "None", "kid": None}, lambda signed: b""
        case "shared secret":
            provider.header, provider.sign = {"alg": "HS256"}, with_secret(SECRET.encode())
        case "public key as a secret":
            provider.header, provider.sign = {"alg": "HS256"}, with_secret(provider.key.as_pem(private=False))
        case "another key":
            provider.signing_key = ECKey.generate_key("P-256")
        case "own key in the header":
            own = ECKey.generate_key("P-256")
            provider.signing_key, provider.header = own, {"jwk": own.as_dict(private=False)}
        case "unknown key":
            provider.header = {"kid": "k9"}
        case "symmetric key published":
            key = {"kty": "oct", "kid": "k1", "k": base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("=")}
            provider.answers = {"/keys": (200, json.dumps({"keys": [key]}).encode())}
            provider.header, provider.sign = {"alg": "HS256"}, with_secret(b"x" * 32)


LIES = (
    *("nonce", "no nonce", "audience", "no audience", "more audiences", "party", "issuer", "no issuer"),
    *("issuer with a slash", "expired", "no end", "end is text", "end is true", "old", "from the future", "not yet"),
    *("nobody", "nobody printable", "number", "none", "None", "shared secret", "public key as a secret", "another key"),
    *("own key in the header", "unknown key", "symmetric key published"),
)


@pytest.mark.parametrize("kind", LIES)
def test_a_token_that_proves_nothing_lets_nobody_in(browser: Browser, provider: LyingProvider, kind: str) -> None:
    lie(provider, kind)

    answer = browser.sign_in(provider)

    assert answer.status == 401, kind
    assert b"The OpenID provider let nobody in: " in answer.body
    assert b'name="token"' in answer.body, "the token still lets people in"
    assert not browser.is_in
    assert browser.cookies == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "another"}, b"this browser began no sign-in that fits"),
        ({"state": None}, b"this browser began no sign-in that fits"),
        ({"state": "\u00e9"}, b"this browser began no sign-in that fits"),
        ({"iss": "https://other.example"}, b"of another issuer"),
        ({"iss": None}, b"of another issuer"),
        ({"code": None}, b"has no code"),
        ({"code": "\x00"}, b"has no code"),
        ({"code": "another"}, b"answers with 400"),
        ({"code": None, "error": "access_denied"}, b"it refused: access_denied"),
        ({"code": None, "error": "<script>alert(1)</script>"}, b"it refused."),
    ],
)
def test_an_answer_of_another_sign_in_is_refused(
    browser: Browser, provider: LyingProvider, changes: dict[str, Any], said: bytes
) -> None:
    answer = browser.sign_in(provider, **changes)

    assert answer.status in (401, 503)
    assert said in answer.body
    assert b"<script" not in answer.body
    assert not browser.is_in


def test_nobody_signs_another_browser_in(browser: Browser, provider: LyingProvider) -> None:
    """Login CSRF: the attacker's answer, opened in the browser of somebody who began nothing, or something else."""
    attacker = Browser(config_for(provider))
    given = provider.authorize(attacker.begin().headers["location"])

    assert browser.come_back(given).status == 401
    browser.begin()
    assert browser.come_back(given).status == 401
    assert not browser.is_in


def test_an_answer_counts_once(browser: Browser, provider: LyingProvider) -> None:
    given = provider.authorize(browser.begin().headers["location"])
    kept = dict(browser.cookies)
    assert browser.come_back(given).status == 200
    browser.cookies = kept

    assert browser.come_back(given).status == 503
    assert not browser.is_in


def test_a_parameter_that_comes_twice_is_refused(browser: Browser, provider: LyingProvider) -> None:
    given = urlencode(provider.authorize(browser.begin().headers["location"]))

    assert browser.get(f"/-/oidc/callback?{given}&code=x").status == 401


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_elsewhere(browser: Browser, provider: LyingProvider, path: str) -> None:
    begun = browser.begin(path)

    answer = browser.come_back(provider.authorize(begun.headers["location"]))

    assert b'content="0; url=/"' in answer.body
    assert b"evil" not in answer.body


def test_a_session_outlives_a_restart_here_and_ends_with_the_client_secret(
    browser: Browser, provider: LyingProvider
) -> None:
    browser.sign_in(provider)
    again = Browser(config_for(provider))
    again.cookies = browser.cookies
    assert again.is_in

    changed = Browser(config_for(provider, "another"))
    changed.cookies = browser.cookies
    assert not changed.is_in


def test_without_any_secret_a_session_ends_with_the_process(provider: LyingProvider) -> None:
    config = config_for(provider, "", token="")

    one, other = Browser(config), Browser(config)
    begun = one.begin()
    other.cookies = one.cookies
    given = provider.authorize(begun.headers["location"])
    assert other.come_back(given).status == 401
    assert b'name="token"' not in other.get("/-/login").body


def test_who_signs_out_is_out(browser: Browser, provider: LyingProvider) -> None:
    browser.sign_in(provider)

    answer = browser.get("/-/logout", "POST", origin=f"http://{OURS}")

    assert (answer.status, answer.headers["location"]) == (303, "/-/login")
    assert not browser.is_in


def test_the_page_offers_both_ways(browser: Browser) -> None:
    page = browser.get("/-/login?next=/silences").body

    assert b'href="/-/oidc/start?next=/silences"' in page
    assert b"Log in with 127.0.0.1" in page
    assert b'name="token"' in page


class TestTrouble:
    @pytest.mark.parametrize(
        ("path", "answer", "said"),
        [
            ("/.well-known/openid-configuration", (500, b"oh"), b"answers with 500"),
            ("/.well-known/openid-configuration", (302, b""), b"answers with 302"),
            ("/.well-known/openid-configuration", (200, b"<html>"), b"configuration can&#39;t be read"),
            ("/.well-known/openid-configuration", (200, b"{" * 400_000), b"configuration can&#39;t be read"),
        ],
    )
    def test_a_provider_that_fails_is_told_and_the_token_lets_in(
        self, browser: Browser, provider: LyingProvider, path: str, answer: tuple[int, bytes], said: bytes
    ) -> None:
        provider.answers = {path: answer}

        told = browser.begin()

        assert told.status in (401, 503)
        assert said in told.body
        assert browser.get("/-/login", "POST", f"token={TOKEN}".encode()).status == 303
        assert browser.is_in

    def test_a_provider_that_is_away_is_told(self, browser: Browser, provider: LyingProvider) -> None:
        provider.close()

        told = browser.begin()

        assert told.status == 503
        assert b"it does not answer" in told.body
        assert b'name="token"' in told.body

    @pytest.mark.parametrize(
        ("path", "answer"), [("/token", (500, b"")), ("/keys", (500, b"")), ("/keys", (200, b"[]"))]
    )
    def test_one_that_fails_on_the_way_is_told(
        self, browser: Browser, provider: LyingProvider, path: str, answer: tuple[int, bytes]
    ) -> None:
        provider.answers = {path: answer}

        assert browser.sign_in(provider).status in (401, 503)
        assert not browser.is_in

    @pytest.mark.slow
    def test_one_that_is_slow_is_not_waited_for(self, browser: Browser, provider: LyingProvider) -> None:
        provider.pause.clear()
        begun = time.monotonic()

        told = browser.begin()

        assert told.status == 503
        assert time.monotonic() - begun < 15

    @pytest.mark.parametrize(
        "metadata",
        [
            {"issuer": "https://other.example"},
            {"token_endpoint": "http://other.example/token"},
            {"jwks_uri": "ftp://127.0.0.1/keys"},
            {"authorization_endpoint": "javascript:alert(1)"},
        ],
    )
    def test_one_that_names_another_is_not_believed(
        self, browser: Browser, provider: LyingProvider, metadata: dict[str, str]
    ) -> None:
        provider.metadata = metadata

        assert browser.begin().status == 401

    def test_a_new_key_is_asked_for_but_not_again_and_again(self, provider: LyingProvider) -> None:
        now = [1000.0]
        oidc = config_for(provider).oidc
        assert oidc is not None
        asking = Provider(oidc, lambda: now[0])
        asking.metadata()
        token, unknown = (by_hand({"alg": "ES256", "kid": kid}, {}, with_secret(b"")) for kid in ("k1", "k9"))

        assert [key.kid for key in asking.keys_for(token)] == ["k1"]
        for _ in range(5):
            asking.keys_for(unknown)
        assert provider.asked.count("/keys") == 1
        now[0] += 31
        provider.published.append(ECKey.generate_key("P-256", {"kid": "k9"}))
        assert [key.kid for key in asking.keys_for(unknown)] == ["k1", "k9"]


def test_starts_are_limited_in_rate(browser: Browser) -> None:
    assert {browser.begin().status for _ in range(60)} == {303, 429}


def test_without_a_provider_there_is_no_such_door() -> None:
    app = app_of(HttpConfig(token=TOKEN))

    assert ask(app, "/-/oidc/start").status == 404
    assert ask(app, "/-/oidc/callback?code=x&state=y").status == 404


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://login.example", True),
        ("http://127.0.0.1:9400", True),
        ("http://localhost", True),
        ("http://login.example", False),
        ("https://", False),
        ("file:///etc/passwd", False),
        ("http://127.0.0.1.evil.example", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_what_others_can_read_on_its_way_is_not_asked(url: str, is_safe: bool) -> None:
    assert is_safe_url(url) is is_safe


@pytest.mark.parametrize("body", [b"", b"[]", b'{"keys": 5}', b'{"keys": [5]}', b"{}", b"\xff"])
def test_what_is_no_set_of_keys_is_told(body: bytes) -> None:
    with pytest.raises(Untrusted):
        read_keys(body)


def test_a_key_that_can_not_be_read_hides_no_other(provider: LyingProvider) -> None:
    keys = [{"kty": "EC", "crv": "P-999", "x": "a"}, {"kty": "oct", "k": "AAAA"}, provider.key.as_dict(private=False)]

    assert [key.kid for key in read_keys(json.dumps({"keys": keys}).encode())] == ["k1"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"issuer": 5}'])
def test_what_is_no_configuration_is_told(body: bytes) -> None:
    with pytest.raises(Untrusted):
        read_metadata(body, "https://login.example")
