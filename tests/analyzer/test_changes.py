"""Which declared changes are sound, when they count, and what they explain."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from analyzer.detected import Drift, drift_of
from analyzer.findings.acts import MOST_CHANGES, Acts
from analyzer.findings.changes import CONFIGURATION, LONGEST, Plan, change_of, check_change, end_of
from schemas.catalogue import CATALOGUE, ROWS, Change, Kind, Severity
from schemas.codes import Code
from schemas.messages import Act
from tests.support.making import AT

HOUR = timedelta(hours=1)
ZONE = "bank.example."
NAME = f"api.{ZONE}"


def plan(subject: str = ZONE, *what: str, **changes: Any) -> Plan:
    fields: dict[str, Any] = {"begins_at": AT, "ends_at": AT + 2 * HOUR, "by": "ana", "why": "ticket 7", **changes}
    return Plan(subject=subject, what=what or ("keys", "ds"), **fields)


def declared(subject: str = ZONE, *what: str, at: datetime = AT, **changes: Any) -> Act:
    return plan(subject, *what, **changes).declared(at, "API")


def keys_replaced(zone: str = ZONE) -> Drift:
    return drift_of(Code.KEY_CHANGE_UNEXPECTED, zone, "keys were replaced", "1", "2")


def moved(name: str = NAME, to: str = "192.0.2.7", severity: Severity = Severity.HIGH) -> Drift:
    return drift_of(Code.ANSWER_CHANGED, ZONE, "it moved", "192.0.2.1", to, severity, f"{name} A")


class TestLowering:
    def test_what_a_change_explains_is_low_and_says_who_declared_it_and_until_when(self) -> None:
        lowered = Acts([declared()]).lower(keys_replaced(), AT + HOUR)

        assert lowered.severity is Severity.LOW
        assert lowered.detail == (
            "keys were replaced; lowered from critical: ana declared a change of keys, ds of bank.example."
            " from 2026-11-24 12:00 to 2026-11-24 14:00 UTC (ticket 7)"
        )

    @pytest.mark.parametrize("zone", ["example.", ".", "www.bank.example.", "notbank.example.", "bank.example.org."])
    def test_zones_above_below_and_beside_are_not_lowered(self, zone: str) -> None:
        drift = keys_replaced(zone)

        assert Acts([declared()]).lower(drift, AT + HOUR) is drift

    @pytest.mark.parametrize("what", [("keys",), ("ds",), ("ns", "unsign"), ("keys", "ns")])
    def test_a_change_that_needs_two_kinds_is_explained_by_both_only(self, what: tuple[str, ...]) -> None:
        drift = keys_replaced()

        assert Acts([declared(ZONE, *what)]).lower(drift, AT + HOUR) is drift

    def test_two_declarations_are_not_added_up(self) -> None:
        drift = keys_replaced()

        assert Acts([declared(ZONE, "keys"), declared(ZONE, "ds")]).lower(drift, AT + HOUR) is drift

    @pytest.mark.parametrize(
        ("after", "what", "is_lowered"), [("", "ds", False), ("", "unsign", True), ("2", "ds", True)]
    )
    def test_the_last_ds_goes_only_where_the_zone_is_to_be_unsigned(
        self, after: str, what: str, is_lowered: bool
    ) -> None:
        drift = drift_of(Code.DS_CHANGED, ZONE, "the DS set changed", "1", after, Severity.HIGH)

        lowered = Acts([declared(ZONE, what)]).lower(drift, AT + HOUR)

        assert (lowered.severity is Severity.LOW) is is_lowered

    @pytest.mark.parametrize(
        "row", [row for row in ROWS if row.kind is Kind.DRIFT and not row.planned_by], ids=lambda row: row.code
    )
    def test_what_is_unsafe_is_so_even_if_it_was_planned(self, row: Any) -> None:
        drift = drift_of(row.code, ZONE, "", "1", "2", Severity.HIGH)
        everything = declared(ZONE, *Change, answers=("192.0.2.7",))

        assert Acts([everything]).lower(drift, AT + HOUR, came=("192.0.2.7",)) is drift

    def test_no_state_is_ever_planned(self) -> None:
        assert [row.code for row in ROWS if row.kind is Kind.STATE and row.planned_by] == []

    def test_what_is_mild_already_is_told_as_it_is(self) -> None:
        mild = moved(severity=Severity.LOW)

        assert Acts([declared(NAME, "answers", answers=("192.0.2.7",))]).lower(mild, AT, came=("192.0.2.7",)) is mild


class TestAnswers:
    ACTS = Acts([declared(NAME, "answers", answers=("192.0.2.7", "192.0.2.8"))])

    @pytest.mark.parametrize("came", [("192.0.2.7",), ("192.0.2.7", "192.0.2.8")])
    def test_declared_data_are_low(self, came: tuple[str, ...]) -> None:
        assert self.ACTS.lower(moved(), AT, came=came).severity is Severity.LOW

    @pytest.mark.parametrize("came", [("203.0.113.66",), ("192.0.2.7", "203.0.113.66"), ()])
    def test_one_address_that_nobody_declared_is_not(self, came: tuple[str, ...]) -> None:
        assert self.ACTS.lower(moved(), AT, came=came).severity is Severity.HIGH

    @pytest.mark.parametrize("name", ["www.bank.example.", "x.api.bank.example.", ZONE])
    def test_another_name_is_not(self, name: str) -> None:
        assert self.ACTS.lower(moved(name), AT, came=("192.0.2.7",)).severity is Severity.HIGH

    def test_a_change_of_the_zone_says_nothing_of_a_name_in_it(self) -> None:
        everything = declared(ZONE, *Change, answers=("192.0.2.7",))

        assert Acts([everything]).lower(moved(), AT, came=("192.0.2.7",)).severity is Severity.HIGH


class TestTime:
    @pytest.mark.parametrize(
        ("after_h", "ttl_s", "is_lowered"),
        [
            (-0.1, 0, False),
            (0, 0, True),
            (2, 0, True),
            (2.1, 0, False),
            (2.9, 3600, True),
            (3.1, 3600, False),
            (25.9, 2**31, True),
            (26.1, 2**31, False),
        ],
    )
    def test_a_window_has_the_tail_of_the_ttl_but_no_more_than_a_day(
        self, after_h: float, ttl_s: int, is_lowered: bool
    ) -> None:
        acts = Acts([declared(at=AT - HOUR)])

        assert (acts.lower(keys_replaced(), AT + after_h * HOUR, lag_s=ttl_s).severity is Severity.LOW) is is_lowered

    def test_what_came_before_its_declaration_is_not_planned(self) -> None:
        acts = Acts([declared(at=AT + HOUR)])

        assert acts.lower(keys_replaced(), AT + 0.9 * HOUR).severity is Severity.CRITICAL
        assert acts.lower(keys_replaced(), AT + HOUR).severity is Severity.LOW

    def test_an_early_end_leaves_no_tail(self) -> None:
        acts = Acts([declared()])
        (change,) = acts.changes()
        assert acts.put(end_of(change, "bo", "done", AT + HOUR, "API")) == []

        assert acts.lower(keys_replaced(), AT + 0.9 * HOUR, lag_s=3600).severity is Severity.LOW
        assert acts.lower(keys_replaced(), AT + 1.1 * HOUR, lag_s=3600).severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ends_at": AT}, "later than from"),
        ({"ends_at": AT - HOUR}, "later than from"),
        ({"begins_at": AT - 3 * HOUR, "ends_at": AT - HOUR}, "over already"),
        ({"ends_at": AT + LONGEST + HOUR}, "at most 30 days"),
        ({"begins_at": AT + 400 * 24 * HOUR, "ends_at": AT + 401 * 24 * HOUR}, "more than a year ahead"),
        ({"what": ()}, "one or more of keys, ds, ns, unsign, answers"),
        ({"what": ("keys", "everything")}, "one or more of"),
        ({"what": ("answers",)}, "the new data are needed"),
        ({"answers": ("192.0.2.7",)}, "only there"),
        ({"what": ("answers",), "answers": ("a\nb",)}, "printable"),
        ({"what": ("answers",), "answers": tuple(map(str, range(101)))}, "at most 100"),
        ({"subject": ""}, "a zone or a name"),
        ({"subject": "bank.example"}, "a zone or a name"),
        ({"subject": "Bank.example."}, "a zone or a name"),
        ({"subject": "*.bank.example."}, "a wildcard is none"),
        ({"by": ""}, "who"),
        ({"by": "a\x1b[2J"}, "who"),
        ({"why": "x" * 501}, "why"),
    ],
)
def test_what_can_not_be_declared_is_refused_with_a_sentence(changes: dict[str, Any], said: str) -> None:
    act = msgspec.structs.replace(plan(), **changes).declared(AT, "API")

    assert said in "; ".join(check_change(act))
    assert Acts().put(act) != []


def test_a_window_without_a_time_zone_is_no_act() -> None:
    with pytest.raises(ValueError, match="time zone"):
        declared(begins_at=AT.replace(tzinfo=None))


def test_a_thousand_windows_are_taken_and_one_more_is_not_until_some_are_over() -> None:
    acts = Acts(declared(f"z{n}.example.") for n in range(MOST_CHANGES))

    assert acts.lower(keys_replaced("z999.example."), AT).severity is Severity.LOW
    assert acts.put(declared("more.example.")) == ["1000 changes are declared already: end some of them"]
    later = AT + 48 * HOUR
    assert acts.put(declared("more.example.", at=later, begins_at=later, ends_at=later + HOUR)) == []
    assert [change.act.subject for change in acts.changes()] == ["more.example."]


def test_the_same_declaration_is_one_whenever_it_is_made() -> None:
    first, again = declared(), declared(at=AT + HOUR)
    acts = Acts([first])

    assert first.id == again.id
    assert acts.put(again) == []
    assert acts.changes() == [change_of(first)]


def test_nobody_ends_what_is_not_there_or_ended_already() -> None:
    acts = Acts()
    change = change_of(declared())
    assert acts.put(end_of(change, "bo", "", AT, "API")) == ["there is no such change"]
    acts.put(change.act)
    acts.put(end_of(change, "bo", "", AT, "API"))

    again = msgspec.structs.replace(end_of(change, "eve", "", AT, "API"), id="another")
    assert acts.put(again) == ["bo ended it already"]


class TestConfiguration:
    def test_what_is_new_is_declared_and_what_is_gone_ends(self) -> None:
        acts = Acts()
        for act in acts.follow([plan("one.example."), plan("two.example.")], AT):
            acts.put(act)

        (ended,) = acts.follow([plan("two.example.")], AT + HOUR)

        assert (ended.kind, ended.by) == ("end_change", CONFIGURATION)
        acts.put(ended)
        assert acts.lower(keys_replaced("one.example."), AT + 1.5 * HOUR).severity is Severity.CRITICAL
        assert acts.lower(keys_replaced("two.example."), AT + 1.5 * HOUR).severity is Severity.LOW
        assert acts.follow([plan("two.example.")], AT + HOUR) == []

    def test_a_window_that_is_over_may_stay_in_the_file(self) -> None:
        assert Acts().follow([plan()], AT + 3 * HOUR) == []

    def test_what_others_declared_is_left_alone(self) -> None:
        assert Acts([declared()]).follow([], AT) == []


def test_the_last_acceptance_counts_for_its_vantages() -> None:
    def accepted(number: int, data: str, *vantages: str) -> Act:
        return Act(
            id=f"{number} {data}",
            kind="accept",
            by="ana",
            at=AT + number * HOUR,
            subject="f",
            rrset=f"{NAME} A",
            answers=(data,),
            vantages=vantages,
        )

    acts = Acts([accepted(1, "192.0.2.7"), accepted(2, "10.0.0.7", "corp")])

    assert acts.accepted_answers(NAME, "A", "corp") == {"10.0.0.7"}
    assert acts.accepted_answers(NAME, "A", "outside") == {"192.0.2.7"}
    assert acts.accepted_answers(NAME, "AAAA", "corp") == frozenset()

    acts.put(accepted(2, "10.0.0.8", "corp"))
    assert acts.accepted_answers(NAME, "A", "corp") == {"10.0.0.7", "10.0.0.8"}, "both were accepted at one stroke"


def test_a_declaration_lowers_every_drift_that_it_explains() -> None:
    for row in ROWS:
        if row.planned_by and row.code not in (Code.ANSWER_CHANGED, Code.DS_CHANGED):
            assert CATALOGUE[row.code].severity.rank > row.planned_severity.rank, row.code
