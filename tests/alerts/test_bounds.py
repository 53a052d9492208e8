"""An incident stays small, whatever a name does; what holds is never dropped, nor cut, and nobody is forgotten."""

from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.decision.bounds import MOST_LISTED, MOST_PAST, WHOLE, bound_entries, bound_incident
from alerts.decision.incidents import Entry, begin_incident, take_finding
from schemas.catalogue import Severity
from schemas.messages import Affected, Finding, FindingStatus
from tests.support.findings import AT, finding

LONG = "x" * 20_000
MANY = tuple(
    Affected(
        id=f"sa-{number}",
        kind="device",
        owner=f"team-{number // 100}",
        environment="prod",
        criticality="critical" if number == 777 else "low",
        hosts=("a.example",),
    )
    for number in range(1000)
)


def entry_of(found: Finding) -> Entry:
    return Entry(finding=found, severity=Severity.HIGH, receivers=("soc",))


def drift(number: int) -> Finding:
    return finding(
        "answer_changed",
        opened_at=AT + timedelta(minutes=number),
        updated_at=AT + timedelta(minutes=number),
        before=LONG,
        after=LONG,
        detail=LONG,
        identities=MANY,
        identity_count=1000,
    )


def state(number: int, status: FindingStatus) -> Finding:
    at = AT + timedelta(minutes=number)
    return finding(opened_at=at, updated_at=at, status=status, detail=LONG, identities=MANY, identity_count=1000)


def test_one_name_that_changes_all_day_is_an_incident_of_bounded_size() -> None:
    incident = begin_incident(drift(0))
    sizes = []
    for number in range(3 * MOST_PAST):
        incident = bound_incident(take_finding(incident, entry_of(drift(number))))
        sizes.append(len(msgspec.json.encode(incident)))

    assert len(incident.entries) == MOST_PAST
    assert max(sizes[MOST_PAST:]) < 5_000_000
    assert sizes[-1] <= sizes[MOST_PAST] * 1.1


def test_the_newest_is_whole_and_of_the_others_nobody_is_forgotten() -> None:
    entries = {one.id: entry_of(one) for one in map(drift, range(50))}

    bounded = list(bound_entries(entries).values())

    assert [len(entry.finding.identities) for entry in bounded[-WHOLE:]] == [1000] * WHOLE
    assert {i.owner for i in bounded[0].finding.identities} == {i.owner for i in MANY}
    assert "critical" in {i.criticality for i in bounded[0].finding.identities}
    assert bounded[0].finding.identity_count == 1000
    assert len(bounded[0].finding.identities) < 2 * MOST_LISTED
    incident = take_finding(begin_incident(drift(0)), entry_of(drift(0)))
    whole = msgspec.structs.replace(incident, entries=entries)
    assert bound_incident(whole).story == whole.story


@settings(deadline=None)
@given(st.lists(st.sampled_from([FindingStatus.OPENED, FindingStatus.CLOSED, None]), max_size=400))
def test_what_holds_is_never_dropped_nor_cut(kinds: list[FindingStatus | None]) -> None:
    found = [drift(n) if kind is None else state(n, kind) for n, kind in enumerate(kinds)]
    entries = {one.id: entry_of(one) for one in found}

    bounded = bound_entries(entries)

    assert {key: entry for key, entry in entries.items() if entry.is_open}.items() <= bounded.items()
    assert sum(not entry.is_open for entry in bounded.values()) <= 2 * MOST_PAST
    assert list(bounded) == [key for key in entries if key in bounded]
    assert bound_entries(bounded) == bounded
