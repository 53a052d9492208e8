"""The long tail of services by Apprise (the extra ``apprise``): a title, a text, and whether it went well.

Apprise says only yes or no, and knows no end of an alert: it is for people who read along, not for paging.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import msgspec

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import Notifier
from alerts.delivery.wording import describe, screen
from alerts.receivers.receiver import HttpClient, Receiver, Secret, read_lines


class Apprise(Receiver, frozen=True, kw_only=True, tag="apprise"):
    """Services by their Apprise URLs, one a line; they hold secrets."""

    urls: Secret = msgspec.field(default="", name="urls_file")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.urls:
            yield "", "apprise needs a 'urls_file'"
        elif find_spec("apprise") is None:
            yield "", "Apprise is not installed: pip install 'anchorwatch[apprise]'"
        elif not _open(self.urls).servers():
            yield "urls_file", "no line of it is a URL that Apprise knows"

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what hands messages to Apprise."""
        return AppriseNotifier(self.urls)


class AppriseNotifier:
    """Hands each delivery to Apprise."""

    def __init__(self, urls: str) -> None:
        self._apprise = _open(urls)

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Notify once."""
        kind = "success" if delivery.event == "resolve" else "failure"
        summary = describe(delivery)["summary"]
        delivered = bool(self._apprise.notify(title=summary[:200], body=screen(delivery), notify_type=kind))
        return DeliveryOutcome(
            delivered, "Apprise says that it arrived" if delivered else "Apprise says that it failed"
        )


def _open(urls: str) -> Any:
    import apprise

    opened = apprise.Apprise()
    for url in read_lines(urls):
        opened.add(url)
    return opened
