"""An OpenID provider on loopback that does what a test says: it may be away, slow, or lie."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

CLIENT, SECRET = "anchorwatch", "a secret of the client: +/&%"


class LyingProvider:
    """``claims`` and ``header`` are put over those of an honest ID token, ``answers`` over whole answers, by path."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.signing_key: Any = self.key
        self.sign: Callable[[bytes], bytes] | None = None
        self.published: list[Any] = [self.key]
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.metadata: dict[str, Any] = {}
        self.pause = threading.Event()
        self.pause.set()
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.pause.set()
        self._server.shutdown()
        self._server.server_close()

    def authorize(self, url: str) -> dict[str, str]:
        """Sign the browser in that comes to this URL; return what it goes back with."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = f"code-{len(self._codes)}"
        self._codes[code] = query
        return {"code": code, "state": query["state"], "iss": self.issuer}

    def _token(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        asked = self._codes.pop(form["code"], None)
        basic = base64.b64encode(b"anchorwatch:a+secret+of+the+client%3A+%2B%2F%26%25").decode()
        if asked is None or authorization != f"Basic {basic}" or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if _text(hashlib.sha256(form["code_verifier"].encode()).digest()) != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "u-1",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "preferred_username": "ana",
            "groups": ["sre"],
            **self.claims,
        }
        header = {"alg": "ES256", "kid": "k1", **self.header}
        given = {name: value for name, value in claims.items() if value is not None}
        token = by_hand(header, given, self.sign) if self.sign else jwt.encode(header, given, self.signing_key)
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": token}

    def answer(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, bytes]:
        self.asked.append(path)
        self.pause.wait(30)
        if path in self.answers:
            return self.answers[path]
        status, said = 200, dict[str, Any]()
        if path == "/.well-known/openid-configuration":
            said = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_response_iss_parameter_supported": True,
                **self.metadata,
            }
        elif path == "/keys":
            said = {"keys": [key.as_dict(private=False) for key in self.published]}
        elif path == "/token":
            status, said = self._token(form, authorization)
        else:
            status = 404
        return status, json.dumps(said).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
                form = {key: values[0] for key, values in parse_qs(body).items()}
                status, content = provider.answer(self.path, form, self.headers.get("authorization", ""))
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _do

            def log_message(self, *words: Any) -> None:
                pass

        return Handler


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def by_hand(header: Any, claims: Any, sign: Callable[[bytes], bytes]) -> str:
    """Return a token that no library would make."""
    signed = f"{_text(json.dumps(header).encode())}.{_text(json.dumps(claims).encode())}"
    return f"{signed}.{_text(sign(signed.encode()))}"


def with_secret(secret: bytes) -> Callable[[bytes], bytes]:
    """Return how somebody signs who knows no more than this."""
    return lambda signed: hmac.new(secret, signed, hashlib.sha256).digest()


@contextmanager
def lying_provider() -> Iterator[LyingProvider]:
    provider = LyingProvider()
    try:
        yield provider
    finally:
        provider.close()
