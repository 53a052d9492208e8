"""Each finding as an OCSF event on a topic of the bus between the stages, by the finding's id. Pure.

It counts as delivered once the brokers in sync have it; after a crash an event may come twice, under the same
``metadata.uid``. Events of one finding are in one partition, in order.
"""

import re
from collections.abc import Iterator

import msgspec

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import Notifier
from alerts.delivery.ocsf import OCSF_VERSION, make_event
from alerts.receivers.receiver import Receiver, TopicWriter

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


class Kafka(Receiver, frozen=True, kw_only=True, tag="kafka"):
    """A topic by its whole name; it is not made: whoever owns the SIEM says how long it keeps what."""

    topic: str = ""

    @property
    def takes_findings(self) -> bool:
        """Return that it gets every finding as an event."""
        return True

    @property
    def needs_bus(self) -> bool:
        """Return that it is reached over the bus."""
        return True

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.topic:
            yield "", "a kafka receiver needs a 'topic'"
        elif not _TOPIC.fullmatch(self.topic) or self.topic in (".", ".."):
            yield "topic", "letters, digits, dots, dashes and underscores are expected, at most 249"

    def make_bus_notifier(self, topics: TopicWriter) -> Notifier:
        """Return what writes to it."""
        return KafkaNotifier(self.topic, topics)


class KafkaNotifier:
    """Writes one message a delivery."""

    def __init__(self, topic: str, topics: TopicWriter) -> None:
        self._topic, self._topics = topic, topics

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Write one event, and wait until it is stored."""
        headers = [("content-type", b"application/json"), ("ocsf-version", OCSF_VERSION.encode())]
        value = msgspec.json.encode(make_event(delivery))
        why_not = self._topics.write(self._topic, delivery.finding.encode(), value, headers)
        return DeliveryOutcome(not why_not, why_not or "stored")
