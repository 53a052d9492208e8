"""The token that the API asks for, and the session of a browser that showed it: pure.

A session is its end and a random number, signed with a key derived from the token: who reads it learns nothing of the
token, and another token ends all sessions.
"""

import hashlib
import hmac
import re

SESSION_S = 12 * 3600
MIN_TOKEN = 16
COOKIE = "anchorwatch_session"
_SESSION = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")


def check_token(token: str) -> str:
    """Return why a token can't be used, empty if it can."""
    if len(token) < MIN_TOKEN:
        return f"a token has at least {MIN_TOKEN} signs: `openssl rand -hex 24` makes one"
    if not token.isascii() or not token.isprintable() or " " in token:
        return "a token has printable ASCII signs without spaces only: `openssl rand -hex 24` makes one"
    return ""


def is_token(given: str, token: str) -> bool:
    """Return whether it is the token, in a time that tells nothing of it."""
    return hmac.compare_digest(_digest(given), _digest(token))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def bearer_of(header: str) -> str:
    """Return the token of an Authorization header, empty for none. Source: RFC 6750 §2.1, RFC 9110 §11.1."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def make_session(token: str, now: float, random: str) -> str:
    """Return the cookie's value; ``random`` has 32 hexadecimal digits."""
    body = f"{int(now) + SESSION_S}.{random}"
    return f"{body}.{_sign(body, token)}"


def is_session(value: str, token: str, now: float) -> bool:
    """Return whether the value was made with this token and has not ended."""
    match = _SESSION.fullmatch(value)
    if match is None:
        return False
    ends_at = int(match[1])
    is_signed = hmac.compare_digest(match[3], _sign(f"{match[1]}.{match[2]}", token))
    # One that ends later than any we make was made by a clock that ran ahead.
    return is_signed and now < ends_at <= now + SESSION_S + 60


def _sign(body: str, token: str) -> str:
    key = hmac.new(token.encode(), b"anchorwatch session", hashlib.sha256).digest()
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
