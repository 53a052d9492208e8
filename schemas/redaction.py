"""Texts without secrets: what may be shown of a value that somebody else wrote. Pure.

``safe`` is for a value from a file, of which nobody knows whether it is a secret. ``redact`` is for a longer text, such
as the body of an HTTP error, in which known secrets and the usual shapes of credentials are replaced.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

HIDDEN = "…"
SHORTEST_SECRET = 4
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*(?: [A-Za-z0-9_.+-]+){0,4}")
_PLAIN_URL = re.compile(r"[a-z][a-z0-9+.-]{0,20}://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/?")
LONGEST_SAFE = 60
SECRET_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?|(?:api|access|account|private|shared|routing|integration)"
    r"[ _.-]?(?:access)?[ _.-]?key|sharedaccess(?:key|signature)|sig|signature|sas|authorization|bearer|cookie"
)
_SECRET_NAME = re.compile(
    rf"(?:^|[^A-Za-z0-9])(?:[A-Za-z0-9]*[_. -])*(?:{SECRET_WORDS}|[A-Za-z]*password|[A-Za-z]*secret|[A-Za-z]*token)"
    r"(?:$|[^A-Za-z0-9])",
    re.IGNORECASE,
)
_PAIR = re.compile(
    rf"(?P<key>[\"']?(?<![A-Za-z0-9])[\w.-]*(?:{SECRET_WORDS})[\"']?\s*[=:]\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s;&,\"'}})<>]+)",
    re.IGNORECASE,
)
_GLUED_PAIR = re.compile(rf"(?<![A-Za-z0-9])[\w.-]*(?:{SECRET_WORDS})(?:\s*=|:(?=\S))", re.IGNORECASE)
_URL_USERINFO = re.compile(r"://[^\s/?#]*:.*@")
_SCHEME_WORD = re.compile(r"\b(bearer|basic|digest|token)(\s+)[A-Za-z0-9+/=._~-]{4,}", re.IGNORECASE)
_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30}://)(?:[^\s/?#@\"'<>]*@)?([A-Za-z0-9.-]*(?::[0-9]+)?)([^\s\"'<>]*)")
_USERINFO = re.compile(r"(?<![A-Za-z0-9])[^\s/@:\"'<>]+:[^\s/@\"'<>]+@")
_LONG = re.compile(
    r"(?<![A-Za-z0-9+/_=-])(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{20,}={0,2}"
)


def safe(value: object) -> str:
    """Return a value for a message: quoted if it is a short plain word, a number, or a URL of a host and nothing else.

    Of any other value only its kind is told.
    """
    if isinstance(value, bool | int | float) or value is None:
        return repr(value)
    if isinstance(value, str):
        if len(value) <= LONGEST_SAFE and (_SAFE.fullmatch(value) or _PLAIN_URL.fullmatch(value)):
            return repr(value)
        return "an empty text" if not value else "a text that is not shown here (it may hold a secret)"
    kinds: dict[type, str] = {list: "a list", dict: "a mapping", tuple: "a list"}
    return kinds.get(type(value), type(value).__name__)


def without_quoted(text: str) -> str:
    """Return a parser's message without what it quotes of the document, unless that is a short plain word."""
    return re.sub(
        r"'([^']*)'|\"([^\"]*)\"|`([^`]*)`",
        lambda match: (
            match[0]
            if _SAFE.fullmatch(found := next(g for g in match.groups() if g is not None))
            and len(found) <= 20
            and not any(c.isdigit() for c in found)
            else HIDDEN
        ),
        text,
    )


def is_secret_name(name: str) -> bool:
    """Return whether a column or key of this name holds a secret: ``password``, ``API-Key``, ``client_secret``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return bool(_SECRET_NAME.search(spaced) or _SECRET_NAME.search(name))


def holds_secret(text: str) -> bool:
    """Return whether a text has the shape of credentials: ``password=…``, ``scheme://user:…@``."""
    if "=" not in text and ":" not in text:
        return False  # both shapes have one of them
    return bool(_GLUED_PAIR.search(text) or _URL_USERINFO.search(text))


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without these secrets, in whatever encoding they stand there, and without credentials of URLs.

    Of a URL the scheme and the host stay: a path or a query may be a token. Long words of letters and digits go, too.
    """
    for form in sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True):
        text = re.sub(re.escape(form), HIDDEN, text, flags=re.IGNORECASE)
    text = _URL.sub(lambda m: m[1] + m[2] + (f"/{HIDDEN}" if m[3] not in ("", "/") else m[3]), text)
    text = _SCHEME_WORD.sub(rf"\1\2{HIDDEN}", text)
    text = _PAIR.sub(lambda m: m["key"] + HIDDEN, text)
    text = _USERINFO.sub(f"{HIDDEN}@", text)
    return _LONG.sub(HIDDEN, text)


def secrets_of_url(url: str) -> tuple[str, ...]:
    """Return the parts of a URL that may be secret: user, password, each long part of the path, the query's values."""
    try:
        parts = urlsplit(url)
        userinfo = (parts.username or "", parts.password or "")
    except ValueError:
        return (url,)
    path = [piece for piece in parts.path.split("/") if len(piece) >= 8]
    query = [pair.partition("=")[2] or pair for pair in parts.query.split("&")]
    found = [*userinfo, *path, *query, parts.fragment]
    if len(parts.path) > 1:
        found.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    return tuple(dict.fromkeys(piece for piece in found if len(piece) >= SHORTEST_SECRET))


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it may be written: raw, percent-encoded, in JSON, in HTML, in base64, without its prefix."""
    if len(secret) < SHORTEST_SECRET:
        return
    plain = {secret, unquote(secret), secret.removeprefix("whsec_")}
    for one in plain:
        if len(one) < SHORTEST_SECRET:
            continue
        yield one
        yield quote(one, safe="")
        yield quote_plus(one)
        yield json.dumps(one)[1:-1]
        yield json.dumps(one, ensure_ascii=False)[1:-1]
        yield one.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
        yield base64.b64encode(one.encode()).decode().rstrip("=")
        yield base64.urlsafe_b64encode(one.encode()).decode().rstrip("=")
