"""Tokens, and the session of a browser whose person signed in: pure.

A session is its end, a random number and who has it, signed with a key that is made of the tokens and the client
secret: who reads it learns nothing of them, another one of them ends all sessions, and a restart ends none.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

import msgspec

from anchorwatch.web.config import HttpConfig
from anchorwatch.web.people import Person, Role

SESSION_S = 12 * 3600
MIN_TOKEN = 16
COOKIE = "anchorwatch_session"
MOST_SIGNS = 4096
_SIGNED = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{1,4000})\.([0-9a-f]{64})")


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


def session_key(secrets: Sequence[str]) -> bytes:
    """Return the key that sessions are signed with; empty where there is no secret to make it of."""
    if not any(secrets):
        return b""
    return hmac.new(msgspec.json.encode(list(secrets)), b"anchorwatch session 2", hashlib.sha256).digest()


def session_secrets(config: HttpConfig) -> tuple[str, ...]:
    """Return what the key is made of: a change of any of it ends all sessions."""
    return config.token, config.read_token, config.oidc.client_secret if config.oidc is not None else ""


def make_session(key: bytes, person: Person, now: float, random: str) -> str:
    """Return the cookie's value; ``random`` has 32 hexadecimal digits."""
    content = msgspec.json.encode((random, person.role, person.name, person.via))
    return sign(key, "session", content, now + SESSION_S)


def read_session(value: str, key: bytes, now: float) -> Person | None:
    """Return whose session it is, None where it is none of ours or has ended."""
    content = unsign(value, key, "session", now, SESSION_S)
    if content is None:
        return None
    _, role, name, via = msgspec.json.decode(content, type=tuple[str, Role, str, str])
    return Person(role, name, via)


def sign(key: bytes, purpose: str, content: bytes, ends_at: float) -> str:
    """Return content that ``unsign`` takes back until its end, for that purpose only."""
    body = f"{int(ends_at)}.{base64.urlsafe_b64encode(content).decode().rstrip('=')}"
    return f"{body}.{_signature(key, purpose, body)}"


def unsign(value: str, key: bytes, purpose: str, now: float, lasts_s: float) -> bytes | None:
    """Return the content of what was signed with the key for this purpose and has not ended, else None."""
    match = _SIGNED.fullmatch(value)
    if match is None or not hmac.compare_digest(match[3], _signature(key, purpose, f"{match[1]}.{match[2]}")):
        return None
    # One that ends later than any we make was made by a clock that ran ahead.
    if not now < int(match[1]) <= now + lasts_s + 60:
        return None
    try:
        return base64.urlsafe_b64decode(match[2] + "=" * (-len(match[2]) % 4))
    except binascii.Error:
        return None


def _signature(key: bytes, purpose: str, body: str) -> str:
    return hmac.new(key, f"{purpose} {body}".encode(), hashlib.sha256).hexdigest()
