"""``receivers``: where notifications go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from alerts.config import ReceiverConfig
from alerts.receivers.webhook import read_secret
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Section, read_secret_file
from schemas.redaction import safe


class ReceiverSection(Section, frozen=True, kw_only=True):
    """One receiver."""

    name: str
    type: Literal["webhook", "pagerduty", "console", "command"]
    url: str = ""
    secret_file: str = ""
    routing_key_file: str = ""
    command: tuple[str, ...] = ()


def read_receivers(sections: Sequence[ReceiverSection], base: Path, document: Document) -> tuple[ReceiverConfig, ...]:
    """Return the receivers with their secrets; ``base`` is the folder that relative paths start from."""
    found: list[ReceiverConfig] = []
    for number, section in enumerate(sections):
        path = f"receivers[{number}]"
        if any(receiver.name == section.name for receiver in found):
            document.problem(f"{path}.name", f"{safe(section.name)} is there twice")
        secret = ""
        secret_key = "routing_key_file" if section.type == "pagerduty" else "secret_file"
        secret_path = section.routing_key_file if section.type == "pagerduty" else section.secret_file
        if secret_path:
            secret = read_secret_file(base / secret_path, f"{path}.{secret_key}", document)
        _check_receiver(section, path, secret, document)
        found.append(
            ReceiverConfig(
                name=section.name, type=section.type, url=section.url, secret=secret, command=section.command
            )
        )
    return tuple(found)


def _check_receiver(section: ReceiverSection, path: str, secret: str, document: Document) -> None:
    if section.url and urlsplit(section.url).scheme not in ("http", "https"):
        document.problem(f"{path}.url", "a URL begins with https:// (or http://)")
    if section.type == "webhook":
        if not section.url:
            document.problem(path, "a webhook needs a 'url'")
        if secret:
            try:
                read_secret(secret)
            except ValueError as error:
                document.problem(f"{path}.secret_file", str(error))
    if section.type == "pagerduty" and not section.routing_key_file:
        document.problem(path, "pagerduty needs a 'routing_key_file'")
    if section.type == "command" and not section.command:
        document.problem(path, "a command receiver needs a 'command', a list of words")
