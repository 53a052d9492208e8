"""A type of receiver is one file and one place in the union: nothing else knows any of them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from alerts.delivery.delivery import Delivery, DeliveryOutcome, delivery_of
from alerts.delivery.notifier import Notifier
from alerts.receivers.exchange import Line
from alerts.receivers.receiver import HttpClient, Receiver, Secret
from alerts.receivers.types import AnyReceiver
from anchorwatch.configuration.documents import decode_struct, read_document
from anchorwatch.configuration.receivers import read_receivers
from anchorwatch.pipeline.run import make_notifiers
from tests.alerts.test_ocsf import order_of
from tests.support.findings import finding

ROOT = Path(__file__).parents[2]


class Pigeon(Receiver, frozen=True, kw_only=True, tag="pigeon"):
    """A type that there is not."""

    loft: str
    ring: Secret = msgspec.field(default="", name="ring_file")

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.loft == "moon":
            yield "loft", "too far away"

    def make_notifier(self, http: HttpClient) -> Notifier:
        return PigeonNotifier(self.ring)


class PigeonNotifier:
    def __init__(self, ring: str) -> None:
        self.ring = ring

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        return DeliveryOutcome(True, "flown")


class File(msgspec.Struct, frozen=True):
    receivers: tuple[AnyReceiver | Pigeon, ...]


def load(text: str, base: Path) -> tuple[Sequence[Receiver], list[str]]:
    document = read_document(f"receivers: [{text}]", "a.yaml")
    file = decode_struct(document.value, File, "", document)
    return read_receivers(file.receivers, base, document) if file else [], document.problems


def test_a_new_type_is_read_checked_and_made_by_what_its_struct_says(tmp_path: Path) -> None:
    (tmp_path / "ring.key").write_text("r1ng-s3cret\n")

    receivers, problems = load("{name: a, type: pigeon, loft: roof, ring_file: ring.key}", tmp_path)

    assert problems == []
    notifier = make_notifiers(receivers, Line())["a"]
    assert isinstance(notifier, PigeonNotifier)
    assert notifier.ring == "r1ng-s3cret"
    assert "s3cret" not in repr(receivers) + str(receivers)


def test_a_receiver_over_the_bus_is_made_with_the_bus_and_says_what_is_written(tmp_path: Path) -> None:
    class Topics:
        written: list[tuple[str, bytes]] = []  # noqa: RUF012 - of one test

        def write(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> str:
            self.written.append((topic, key))
            return "" if topic == "siem" else "no such topic"

    receivers, _ = load("{name: a, type: kafka, topic: siem}, {name: b, type: kafka, topic: gone}", tmp_path)
    notifiers, event = make_notifiers(receivers, Line(), Topics()), delivery_of(order_of(finding()))

    assert [notifiers[name].send(event, 0.0).delivered for name in "ab"] == [True, False]
    assert Topics.written == [("siem", event.finding.encode()), ("gone", event.finding.encode())]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{name: a, type: pigeon, loft: moon}", "receivers[0].loft: too far away"),
        ("{name: a, type: pigeon}", "the key 'loft' is missing"),
        ("{name: a, type: pigeon, loft: roof, url: x}", "receivers[0].url: unknown key; known here: type, name, loft"),
        ("{name: a, type: pigeon, loft: roof, ring_file: gone}", "receivers[0].ring_file: "),
        ("{name: a, type: [pigeon], loft: roof}", "receivers[0].type: a list is none of webhook, "),
        ("{name: a, type: console}, {name: a, type: pigeon, loft: roof}", "receivers[1].name: 'a' is there twice"),
    ],
)
def test_what_is_wrong_with_a_new_type_is_named_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    _, problems = load(text, tmp_path)

    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize("kind", get_args(AnyReceiver))
def test_only_its_file_and_the_union_name_a_type(kind: type[Receiver]) -> None:
    files = [path for room in ("alerts", "anchorwatch") for path in (ROOT / room).rglob("*.py")]
    notifier = re.compile(rf"\b{kind.__name__}Notifier\b|from alerts\.\S+ import .*\b{kind.__name__}\b")

    knowing = {path.relative_to(ROOT).as_posix() for path in files if notifier.search(path.read_text())}

    tag = kind.__struct_config__.tag
    assert knowing == {f"alerts/receivers/{tag}.py", "alerts/receivers/types.py"}


@pytest.mark.parametrize("url", ["hooks.example/x", "ftp://x", "https://", "https://[", "https://h:99999/"])
def test_a_url_that_leads_nowhere_is_named_at_the_start(tmp_path: Path, url: str) -> None:
    _, problems = load(f"{{name: a, type: webhook, url: '{url}'}}", tmp_path)

    assert ["receivers[0].url: a URL begins with" in one for one in problems] == [True]


def test_a_secret_that_can_not_be_read_hides_no_other_problem(tmp_path: Path) -> None:
    _, problems = load("{name: a, type: webhook, url: x, secret_file: gone}", tmp_path)

    assert [one.split(": ")[1] for one in problems] == ["receivers[0].secret_file", "receivers[0].url"]
