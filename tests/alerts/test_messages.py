"""Messages as people get them, word for word: ``python -m tests.support.messages`` writes them anew."""

import json
import re
from typing import Any

import msgspec
import pytest

from alerts.delivery.wording import describe, screen
from alerts.receivers.mail import make_html
from alerts.receivers.slack import make_message
from alerts.runbooks.library import LIBRARY, find_runbook
from schemas.catalogue import ROWS, Kind
from tests.support import messages
from tests.support.findings import finding
from tests.support.messages import delivery_of, incident_of

TEXTS = messages.texts()


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_message_is_as_it_was_looked_at(name: str) -> None:
    assert (messages.FOLDER / name).read_text(encoding="utf-8") == TEXTS[name], "python -m tests.support.messages"


def test_every_golden_file_is_of_a_message_that_there_is() -> None:
    assert {path.name for path in messages.FOLDER.iterdir()} == set(TEXTS)


@pytest.mark.parametrize("row", [row for row in ROWS if row.kind is not Kind.REASON], ids=lambda row: row.code)
def test_every_code_says_what_it_means_who_does_what_and_how_to_see_that_it_is_over(row: Any) -> None:
    made = delivery_of("trigger", incident_of(finding(row.code)), "confirmed")
    said = describe(made)

    assert said["means"].endswith(".")
    assert said["who_does_what"]
    assert said["over_when"].endswith(".")
    assert not re.search(r"\b(ZONE|NAME)\b", screen(made)), "the zone and the host stand there by their names"
    assert said["links"]["runbook"] == f"https://watch.corp.example/runbooks/{row.code}"


def test_no_two_runbooks_put_things_right_in_the_same_words() -> None:
    """Skeletons would: each has steps of its own."""
    steps = [runbook.fix for runbook in LIBRARY.values()]

    assert len(set(steps)) == len(steps)
    assert find_runbook("of_a_newer_version") is None


def test_a_code_that_only_a_newer_version_knows_is_told_without_advice() -> None:
    newer = msgspec.structs.replace(finding(), code="of_a_newer_version")
    said = screen(delivery_of("trigger", incident_of(newer), "confirmed"))

    assert "only a newer version can name" in said
    assert "it means" not in said


def test_without_a_public_url_there_are_no_links() -> None:
    made = msgspec.structs.replace(delivery_of("trigger", incident_of(finding()), "confirmed"), base="")

    assert describe(made)["links"] == {}
    assert "http" not in screen(made)
    assert all(block["type"] != "actions" for block in make_message(made)["blocks"])


HOSTILE = "<!channel> <https://evil.example|click> *b* `c` & <b>x</b>"


def test_what_dns_says_is_no_markup() -> None:
    made = delivery_of("trigger", incident_of(finding(detail=HOSTILE)), HOSTILE)
    blocks = json.dumps(make_message(made), ensure_ascii=False)

    assert "<!channel>" not in blocks
    assert "<https://evil" not in blocks
    assert "*b*" not in blocks
    assert "<b>x</b>" not in make_html(made)


def test_lists_are_cut_at_ten_with_the_number_of_the_rest() -> None:
    page = TEXTS["page.terminal.txt"].splitlines()

    assert sum(line.startswith("  affects ") for line in page) == 10
    assert "  and 4 more" in page
