"""``heartbeat``: who is called while all goes well."""

from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Duration, Section, read_seconds, read_secret_file


class HeartbeatSection(Section, frozen=True, kw_only=True):
    """Who is called while all goes well, and notices when the calls cease."""

    url: str = ""
    url_file: str = ""
    interval: Duration = "60s"


class HeartbeatConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to call, and how often; the URL is a secret: who knows it can keep the other side calm."""

    url: str
    interval_s: float = 60.0

    def __repr__(self) -> str:
        return f"HeartbeatConfig(interval_s={self.interval_s!r})"


def read_heartbeat(section: HeartbeatSection | None, base: Path, document: Document) -> HeartbeatConfig | None:
    """Return whom to call, None for nobody."""
    if section is None:
        return None
    if bool(section.url) == bool(section.url_file):
        document.problem("heartbeat", "say either 'url' or 'url_file'")
    url = section.url
    if section.url_file:
        url = read_secret_file(base / section.url_file, "heartbeat.url_file", document)
    if url and not is_web_url(url):
        where = "heartbeat.url" if section.url else "heartbeat.url_file"
        document.problem(where, "a URL begins with https:// (or http://) and names a host")
    interval_s = read_seconds(section.interval, "heartbeat.interval", document, least=1.0)
    return HeartbeatConfig(url=url, interval_s=interval_s)


def is_web_url(url: str) -> bool:
    """Return whether something can be called there."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
