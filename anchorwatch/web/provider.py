"""The OpenID provider over the network: what it says of itself, its keys, and codes for tokens."""

import threading
import time
from collections.abc import Callable
from urllib.parse import quote_plus, urlencode

import msgspec
import urllib3

from alerts.receivers.exchange import Line
from alerts.receivers.receiver import Answer
from anchorwatch.web.config import OidcConfig
from anchorwatch.web.oidc import Keys, Metadata, Untrusted, key_id_of, read_keys, read_metadata

DISCOVERY = "/.well-known/openid-configuration"
DEADLINE_S = 8.0
MOST_BYTES = 262_144
KEPT_S = 3600.0
AGAIN_AFTER_S = 30.0


class Unavailable(Exception):
    """The provider does not answer, or not as one."""


class _Tokens(msgspec.Struct):
    id_token: str


class Provider:
    """Asks the provider; every method blocks. What it says of itself is kept for an hour, its keys until they lack one.

    Raises:
        Unavailable: there is no answer in time, or an error.
        Untrusted: the answer can't be used.
    """

    def __init__(self, config: OidcConfig, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` is monotonic."""
        self._config, self._clock, self._line = config, clock, Line(config.egress)
        self._lock = threading.Lock()
        self._metadata: Metadata | None = None
        self._keys: Keys = ()
        self._metadata_at = self._keys_at = float("-inf")

    def metadata(self) -> Metadata:
        """Return where it is asked what."""
        with self._lock:
            known, is_fresh = self._metadata, self._clock() < self._metadata_at + KEPT_S
        if known is not None and is_fresh:
            return known
        url = self._config.issuer.rstrip("/") + DISCOVERY
        found = read_metadata(self._ask("GET", url, "its configuration").body, self._config.issuer)
        with self._lock:
            self._metadata, self._metadata_at = found, self._clock()
        return found

    def keys_for(self, token: str) -> Keys:
        """Return its keys, asked for again if the one of a token is not among them, but not twice in 30 s."""
        kid = key_id_of(token)
        with self._lock:
            keys, now = self._keys, self._clock()
            has_key = bool(keys) and (not kid or any(key.kid == kid for key in keys))
            if (has_key and now < self._keys_at + KEPT_S) or now < self._keys_at + AGAIN_AFTER_S:
                return keys
        found = read_keys(self._ask("GET", self.metadata().jwks_uri, "its keys").body)
        with self._lock:
            self._keys, self._keys_at = found, self._clock()
        return found

    def exchange(self, code: str, verifier: str) -> str:
        """Return the ID token for a code. Source: RFC 6749 §4.1.3, §2.3.1, RFC 7636 §4.5."""
        config, metadata = self._config, self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": config.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if config.client_secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            user = f"{quote_plus(config.client_id)}:{quote_plus(config.client_secret)}"
            headers |= urllib3.make_headers(basic_auth=user)
        else:
            form["client_id"] = config.client_id
            if config.client_secret:
                form["client_secret"] = config.client_secret
        body = urlencode(form).encode()
        answer = self._ask("POST", metadata.token_endpoint, "the token", body=body, headers=headers)
        try:
            return msgspec.json.decode(answer.body, type=_Tokens).id_token
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise Untrusted("it sent no ID token") from error

    def _ask(
        self, method: str, url: str, what: str, *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        try:
            answer = self._line.exchange(
                method,
                url,
                body=body,
                headers=headers,
                deadline_s=DEADLINE_S,
                wants_body=True,
                most_bytes=MOST_BYTES,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"it does not answer ({type(error).__name__} when asked for {what})") from error
        if answer.status != 200:
            raise Unavailable(f"it answers with {answer.status} when asked for {what}")
        return answer
