"""Values that more than one section has: durations, shares, secrets in files, TLS."""

import re
import ssl
from pathlib import Path
from typing import Annotated

import msgspec

from anchorwatch.configuration.documents import Document
from schemas.redaction import safe
from schemas.tls import TlsConfig

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DEFAULT_SHARE = 0.2
_WRITTEN = r"([0-9]+([.][0-9]+)?(ms|s|m|h|d))+"
_EXAMPLES = ["60s", "5m", "1h30m"]
Duration = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^{_WRITTEN}$", "examples": _EXAMPLES})]
"""A duration as it is written; what is none is refused by ``read_seconds``, with a sentence of its own."""
OptionalDuration = Annotated[
    str, msgspec.Meta(extra_json_schema={"pattern": f"^({_WRITTEN})?$", "examples": _EXAMPLES})
]
Natural = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file."""


class TlsSection(Section, frozen=True, kw_only=True):
    """Whom to trust (the system's authorities without ``ca_file``), and who we are where a client must say it."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


def parse_duration(text: str) -> float:
    """Return ``60s``, ``5m``, ``1h30m`` or ``1500ms`` in seconds.

    Raises:
        ValueError: another form.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{safe(text)} is no duration such as 60s, 5m or 24h")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def read_seconds(text: str, path: str, document: Document, *, least: float) -> float:
    """Return a duration in seconds, ``least`` where it can't be used."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        document.problem(path, str(error))
        return least
    if seconds < least:
        document.problem(path, f"{text} is less than {least:g}s")
    return max(seconds, least)


def read_share(value: str | float, path: str, document: Document) -> float:
    """Return ``20%`` or ``0.2`` as 0.2."""
    text = str(value).strip()
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(%?)", text)
    share = float(match[1]) / (100 if match[2] or float(match[1]) > 1 else 1) if match else -1.0
    if not 0 <= share <= 1 or (match and not match[2] and float(match[1]) == 1):  # 1 may mean 1% or all
        document.problem(path, "a share such as 20% or 0.2 is expected")
        return DEFAULT_SHARE
    return share


def read_secret_file(path: Path, where: str, document: Document) -> str:
    """Return the secret in a file, empty where there is none."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        document.problem(where, f"{path} can't be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")
        return ""
    if not secret:
        document.problem(where, f"{path} is empty")
    return secret


def explain_ca_file(path: str) -> str:
    """Return why a PEM file of authorities can't be used, empty where it can."""
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        why = "it holds no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        return f"{path} can't be used: {why}"
    return ""


def read_tls(section: TlsSection | None, where: str, base: Path, document: Document) -> TlsConfig | None:
    """Return the files of a TLS section as paths, None where the section is absent."""
    if section is None:
        return None
    paths = {}
    for key in ("ca_file", "cert_file", "key_file"):
        text = getattr(section, key)
        paths[key] = str(base / text) if text else ""
        if text and not (base / text).is_file():
            document.problem(f"{where}.{key}", f"there is no file {base / text}")
    if bool(section.cert_file) != bool(section.key_file):
        document.problem(where, "cert_file and key_file go together")
    return TlsConfig(ca_path=paths["ca_file"], cert_path=paths["cert_file"], key_path=paths["key_file"])
