"""Sign-in through an OpenID provider, as far as it is decided on what came: pure.

Authorization code with PKCE. State, nonce and verifier are in a signed cookie of the browser that began, so that no
other browser can end what it began, and nothing is kept here for who never comes back.

Source: OpenID Connect Core 1.0 §3.1, RFC 6749 §4.1, RFC 7636, RFC 9207, RFC 9700 §2.1.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from anchorwatch.web.config import OidcConfig, is_loopback
from anchorwatch.web.people import clean_name
from anchorwatch.web.session import sign, unsign

FLOW_S = 600
FLOW_COOKIE = "anchorwatch_signin"
SKEW_S = 60
OLDEST_S = 600
MOST_KEYS = 100
# None but asymmetric ones: with HS256 the client secret, with "none" nothing would vouch for a token.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_ERROR = re.compile(r"[a-z_]{1,60}")
Keys = Sequence[RSAKey | ECKey | OKPKey]


class Untrusted(Exception):
    """What the provider, or somebody in its name, sent is no proof of who somebody is."""


class Flow(msgspec.Struct, frozen=True, array_like=True):
    """What a browser that began to sign in comes back with: ``path`` is where it goes then."""

    state: str
    nonce: str
    verifier: str
    path: str


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider is asked what. Source: OpenID Connect Discovery 1.0 §3."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


def is_safe_url(url: str) -> bool:
    """Return whether nobody on the way to a URL can read or change anything: https, or this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def read_metadata(body: bytes, issuer: str) -> Metadata:
    """Return what a provider says of itself.

    Raises:
        Untrusted: it is another one, or can't be asked safely.
    """
    try:
        found = msgspec.json.decode(body, type=Metadata)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Untrusted("its configuration can't be read") from error
    # "The issuer value returned MUST be identical to the Issuer URL" (Discovery §4.3)
    if found.issuer != issuer:
        raise Untrusted("it says that it is another issuer")
    for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
        if not is_safe_url(url):
            raise Untrusted("it names an endpoint that is not https")
    return found


def read_keys(body: bytes) -> Keys:
    """Return the keys that a provider signs with; those that we have no use for are left out.

    Raises:
        Untrusted: it is no set of keys.
    """
    try:
        given = msgspec.json.decode(body, type=dict[str, Any])["keys"]
        found = [_read_key(one) for one in given[:MOST_KEYS]]
    except (msgspec.DecodeError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise Untrusted("its keys can't be read") from error
    return [key for key in found if key is not None]


def _read_key(given: dict[str, Any]) -> RSAKey | ECKey | OKPKey | None:
    if given.get("kty") not in ("RSA", "EC", "OKP") or given.get("use", "sig") != "sig":
        return None
    try:
        key = import_key(given)
    except (JoseError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def make_flow_cookie(flow: Flow, key: bytes, now: float) -> str:
    """Return the cookie's value."""
    return sign(key, "sign-in", msgspec.json.encode(flow), now + FLOW_S)


def read_flow_cookie(value: str, key: bytes, now: float) -> Flow | None:
    """Return what a browser began, None where it began nothing, or too long ago."""
    content = unsign(value, key, "sign-in", now, FLOW_S)
    return msgspec.json.decode(content, type=Flow) if content is not None else None


def authorization_url(metadata: Metadata, config: OidcConfig, flow: Flow) -> str:
    """Return where a browser is sent to. Source: Core §3.1.2.1, RFC 7636 §4.2."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(flow.verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": config.redirect_uri,
        "scope": " ".join(config.scopes),
        "state": flow.state,
        "nonce": flow.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    url = metadata.authorization_endpoint
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"


def code_of(given: Mapping[str, str], flow: Flow | None, metadata: Metadata) -> tuple[str, Flow]:
    """Return the code with which a browser came back, and what it began.

    Raises:
        Untrusted: this browser began nothing, or the answer is another one's.
    """
    if flow is None or not hmac.compare_digest(given.get("state", "").encode(), flow.state.encode()):
        raise Untrusted("this browser began no sign-in that fits, or more than ten minutes ago")
    # "clients MUST extract the value of the iss parameter … and … compare the result to the issuer" (RFC 9207 §2.4)
    issuer = given.get("iss")
    if issuer != metadata.issuer and (issuer is not None or metadata.authorization_response_iss_parameter_supported):
        raise Untrusted("the answer is of another issuer")
    if error := given.get("error", ""):
        raise Untrusted(f"it refused: {error}" if _ERROR.fullmatch(error) else "it refused")
    code = given.get("code", "")
    if not code or len(code) > 4096 or not code.isascii() or not code.isprintable():
        raise Untrusted("the answer has no code")
    return code, flow


def key_id_of(token: str) -> str:
    """Return the id of the key that a token says it is signed with, empty for none.

    Raises:
        Untrusted: it is no token.
    """
    try:
        return str(jws.extract_compact(token.encode()).headers().get("kid", ""))
    except (JoseError, ValueError, TypeError, UnicodeError, RecursionError) as error:
        raise Untrusted("the ID token can't be read") from error


def check_id_token(token: str, keys: Keys, config: OidcConfig, nonce: str, now: float) -> dict[str, Any]:
    """Return what an ID token says. Source: Core §3.1.3.7.

    Raises:
        Untrusted: it was not made by the provider, for us, for this sign-in, and lately.
    """
    kid = key_id_of(token)
    claims = _signed_by(token, [key for key in keys if not kid or key.kid == kid])
    # "The Issuer Identifier … MUST exactly match the value of the iss (issuer) Claim."
    if claims.get("iss") != config.issuer:
        raise Untrusted("the ID token is of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    # "The Client MUST validate that the aud (audience) Claim contains its client_id"
    if config.client_id not in audiences:
        raise Untrusted("the ID token is for another client")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != config.client_id:
        raise Untrusted("the ID token is for another client, too")
    expires_at, issued_at = _number(claims.get("exp")), _number(claims.get("iat"))
    # "The current time MUST be before the time represented by the exp Claim."
    if expires_at is None or now >= expires_at + SKEW_S:
        raise Untrusted("the ID token has expired")
    if issued_at is None or not now - OLDEST_S - SKEW_S <= issued_at <= now + SKEW_S:
        raise Untrusted("the ID token was not made just now: do the clocks differ?")
    not_before = claims.get("nbf", 0)
    if (begins_at := _number(not_before)) is None or now < begins_at - SKEW_S:
        raise Untrusted("the ID token does not hold yet")
    # "a nonce Claim MUST be present and its value checked to verify that it is the same value as the one that was sent"
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise Untrusted("the ID token is of another sign-in")
    if not isinstance(claims.get("sub"), str) or not clean_name(claims["sub"]):
        raise Untrusted("the ID token names nobody")
    return claims


def _signed_by(token: str, keys: Keys) -> dict[str, Any]:
    for key in keys:
        try:
            content = jws.deserialize_compact(token, key, algorithms=list(ALGORITHMS)).payload
            claims = msgspec.json.decode(content, type=dict[str, Any])
        except (JoseError, msgspec.DecodeError, ValueError, TypeError, RecursionError):
            continue
        return claims
    raise Untrusted("no key of the provider signed the ID token")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def name_of(claims: Mapping[str, Any], claim: str) -> str:
    """Return the name of who signed in: the subject where the claim has none."""
    value = claims.get(claim)
    return (clean_name(value) if isinstance(value, str) else "") or clean_name(claims["sub"])


def groups_of(claims: Mapping[str, Any], claim: str) -> Collection[str]:
    """Return the groups of who signed in."""
    value = claims.get(claim)
    found = value if isinstance(value, list) else [value]
    return {one for one in found if isinstance(one, str)}
