"""An accepted change ends its incident, with who accepted it and why, and nothing else of it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.messages import Finding, FindingStatus
from tests.support.desk import Desk
from tests.support.findings import AT, closed, finding


@pytest.fixture
def desk(tmp_path: Path, clock: Any) -> Desk:
    return Desk(tmp_path, clock)


def accepted(opened: Finding, who: str = "ana", why: str = "ticket 7") -> Finding:
    over = closed(opened, opened.version + 1)
    return msgspec.structs.replace(over, accepted_by=who, closed_because=f"accepted by {who}: {why}")


def test_the_incident_of_an_accepted_change_is_resolved_with_who_and_why(desk: Desk) -> None:
    drift = finding("secure_to_insecure")
    desk.handle(drift)
    desk.handle(accepted(drift))

    assert [event for event, _ in desk.pager.told] == ["trigger", "resolve"]
    last = desk.pager.bodies[-1]
    assert last["reason"] == "accepted by ana: ticket 7"
    assert last["summary"].startswith("ACCEPTED [critical] bank.example: ")
    assert "accepted by ana: ticket 7" in last["summary"]
    assert not desk.ledger.open_incidents()


def test_one_accepted_change_of_two_leaves_the_incident_open(desk: Desk) -> None:
    both = finding("secure_to_insecure"), finding("algorithm_downgraded")
    desk.handle(*both)
    desk.handle(accepted(both[0]))

    (incident,) = desk.ledger.open_incidents()
    assert [event for event, _ in desk.pager.told] == ["trigger"]
    assert incident.lead.code == "algorithm_downgraded"

    desk.clock.advance(25 * 3600)
    desk.handle()
    assert desk.pager.bodies[-1]["reason"] == "accepted by ana: ticket 7; no more news of a change"
    assert desk.pager.bodies[-1]["summary"].startswith("NO MORE NEWS")


def test_a_state_goes_on_though_the_change_beside_it_was_accepted(desk: Desk) -> None:
    drift, state = finding("secure_to_insecure"), finding("rrsig_expired")
    desk.handle(drift, state)
    desk.handle(accepted(drift))
    desk.clock.advance(25 * 3600)
    desk.handle()

    assert "resolve" not in [event for event, _ in desk.pager.told]
    desk.handle(closed(state))
    assert desk.pager.told[-1][0] == "resolve"


def test_the_next_change_rings_anew(desk: Desk) -> None:
    drift = finding("secure_to_insecure")
    desk.handle(drift)
    desk.handle(accepted(drift))
    desk.handle(finding("secure_to_insecure", opened_at=AT + timedelta(minutes=1)))

    assert [event for event, _ in desk.pager.told] == ["trigger", "resolve", "trigger"]


def test_a_change_that_nobody_was_told_of_is_accepted_in_silence(desk: Desk) -> None:
    drift = finding("ds_changed")
    desk.handle(drift)

    assert desk.handle(accepted(drift)) == []
    assert desk.pager.told == []
    assert not desk.ledger.open_incidents()


def test_who_left_and_who_accepted_are_both_said(desk: Desk) -> None:
    drift, state = finding("secure_to_insecure"), finding("rrsig_expired")
    desk.handle(drift, state)
    left = msgspec.structs.replace(closed(state), closed_because="no longer watched: gone")
    desk.handle(accepted(drift), left)

    assert desk.pager.told[-1][0] == "update", "a state that nobody saw healed is closed by hand"
    assert "no longer watched: gone" in desk.pager.bodies[-1]["summary"]
    assert {one["closed_because"] for one in desk.pager.bodies[-1]["findings"]} == {
        "accepted by ana: ticket 7",
        "no longer watched: gone",
    }


def test_accepted_changes_push_no_open_one_out_of_an_incident(desk: Desk) -> None:
    grave = finding("secure_to_insecure")
    desk.handle(grave)
    for number in range(150):
        one = finding("secure_to_insecure", opened_at=AT + timedelta(seconds=number + 1))
        desk.handle(one)
        desk.handle(accepted(one))

    (incident,) = desk.ledger.open_incidents()
    assert incident.entries[grave.id].finding.status is FindingStatus.OPENED
