"""``digests``: when owners are told what they must know of their identities, and through which receivers."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from alerts.config import DigestPlan
from alerts.receivers.receiver import Receiver
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.heartbeat import is_web_url
from anchorwatch.configuration.values import Section, read_seconds, read_secret_file
from anchorwatch.configuration.windows import read_recurring
from schemas.redaction import safe


class AnalyzerSection(Section, frozen=True, kw_only=True):
    """Where the analyzer's API is, over Kafka: it knows what identities rest on."""

    url: str
    token_file: str = ""


class DigestsSection(Section, frozen=True, kw_only=True):
    """When, over which time before, and to whom."""

    at: str
    timezone: str = ""
    period: str = "7d"
    receiver: str = ""
    owners: dict[str, str] = msgspec.field(default_factory=dict)
    analyzer: AnalyzerSection | None = None


class AnalyzerApi(msgspec.Struct, frozen=True, kw_only=True):
    """Where the analyzer answers, and the token that it asks for."""

    url: str
    token: str = ""

    def __repr__(self) -> str:
        return f"AnalyzerApi(url={self.url!r})"


def read_digests(
    section: DigestsSection | None, receivers: Sequence[Receiver], bus_url: str, base: Path, document: Document
) -> tuple[DigestPlan | None, AnalyzerApi | None]:
    """Return when digests are sent, None for never, and where the analyzer is, None for this process."""
    if section is None:
        return None, None
    able = {one.name for one in receivers if one.takes_letters}
    named = [("digests.receiver", section.receiver)] if section.receiver else []
    named += [(f"digests.owners.{owner}", name) for owner, name in section.owners.items()]
    if not named:
        document.problem("digests", "say a 'receiver', or 'owners' with theirs")
    for path, name in named:
        if name not in able:
            document.problem(path, f"there is no receiver {safe(name)} that takes digests: mail does, and a webhook")
    if (section.analyzer is None) == (bus_url != "local:"):
        is_needed = "is needed over Kafka" if section.analyzer is None else "is for stages over Kafka"
        document.problem("digests.analyzer", f"it {is_needed}: the URL of the analyzer's API")
    plan = DigestPlan(
        schedule=read_recurring(section.at, section.timezone, "digests", document),
        period_s=read_seconds(section.period, "digests.period", document, least=3600.0),
        receiver=section.receiver,
        owners=section.owners,
    )
    return plan, _read_analyzer(section.analyzer, base, document)


def _read_analyzer(section: AnalyzerSection | None, base: Path, document: Document) -> AnalyzerApi | None:
    if section is None:
        return None
    if not is_web_url(section.url):
        document.problem("digests.analyzer.url", "a URL begins with https:// (or http://) and names a host")
    token = ""
    if section.token_file:
        token = read_secret_file(base / section.token_file, "digests.analyzer.token_file", document)
    return AnalyzerApi(url=section.url.rstrip("/"), token=token)
