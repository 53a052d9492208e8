"""What every history promises, run over each there is: embedded, over HTTP, and a real server if one is named.

ANCHORWATCH_TEST_CLICKHOUSE=clickhouse://user@host:port (its password in the URL, or in the file that
ANCHORWATCH_TEST_CLICKHOUSE_PASSWORD_FILE names) has each test run in a database of its own there, dropped afterwards.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import msgspec
import pytest

from analyzer.config import HistoryConfig
from analyzer.history import rows
from analyzer.history.clickhouse import ClickHouseHistory, open_history, place_of_finding, token_of
from analyzer.history.clickhouse import place_of as row_place
from analyzer.history.connection import connect_server
from analyzer.history.memory import MemoryHistory
from analyzer.history.migrations import migrate
from analyzer.history.rows import Row
from schemas.faults import Rejected, Transient
from schemas.judgement import Verdict
from schemas.messages import Act, ActKind, Finding, FindingStatus, InventorySnapshot, Observation
from tests.support.clickhouse_front import FrontProcess
from tests.support.databases import AnyHistory, lay_out, new_database
from tests.support.findings import closed, finding
from tests.support.making import AT, judgement, key, link, observation, polls, snapshot, zone_observation, zones_of
from tests.support.sweeps import sweep

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SERVER = "ANCHORWATCH_TEST_CLICKHOUSE"

Tables = dict[str, list[Row]]
Opening = Callable[[], ClickHouseHistory]


def bank(host: str = "api", at: Any = AT, **more: Any) -> Observation:
    return observation(judgement(f"{host}.bank.example.", **more), at)


def tables_of(*observations: Observation, findings: Sequence[tuple[Finding, str]] = (), **more: list[Row]) -> Tables:
    """Return the rows as the analyzer makes them."""
    evidence = [rows.evidence_rows(one.evidence) for one in observations if one.evidence is not None]
    return {
        "observations": [rows.observation_row(one) for one in observations],
        "verdicts": [rows.verdict_row(one) for one in observations],
        "evidence": [row for row, _ in evidence],
        "evidence_messages": [row for _, messages in evidence for row in messages],
        "findings": [rows.finding_row(one, trigger) for one, trigger in findings],
        **more,
    }


def polled(one: Observation, at: Any) -> Tables:
    """Return the rows of a poll that went on with an observation."""
    verdict = (str(one.judgement.verdict), one.judgement.cause_zone)
    return {"verdicts": rows.stretched_rows(polls(one, at=at), {one.id: verdict})}


def everything() -> Tables:
    """Return some rows for every table."""
    return tables_of(
        bank(),
        bank("www"),
        findings=[(finding(), "t1"), (finding("ds_changed"), "t2")],
        identities=[rows.identity_row(snapshot("sa", "api.bank.example"))],
        renewals=[("bank.example.", AT, 0.25, False, 86_400.0)],
        zones=[rows.zone_row(one) for one in zones_of(judgement(), AT)],
        sweeps=[rows.sweep_row(sweep(), AT, "{}")],
        acts=[rows.act_row(Act(id="a1", kind="accept_inventory", by="ops", at=AT, subject="inventory.yaml"))],
    )


def answers_of(history: ClickHouseHistory) -> list[Any]:
    """Return everything that can be asked."""
    subjects = [bank(host).subject for host in ("api", "www")]
    until = dict.fromkeys(subjects, AT + DAY)
    return [
        history.validated_before(until),
        {key: sorted(seen, key=lambda one: one.record) for key, seen in history.sightings_before(until).items()},
        sorted(history.latest_judgements(), key=lambda row: row[0]),
        sorted(history.open_findings(), key=lambda one: one.id),
        history.findings(),
        history.findings_triggered_by(["t1", "t2"]),
        history.identities(),
        history.renewals(),
        [history.intervals(name) for name, _, _ in subjects],
        history.evidence("e" * 64),
        history.sweep_memories(),
        history.sweeps(),
    ]


@contextlib.contextmanager
def embedded(engine: str, admin: Any, migrated: list[str]) -> Iterator[tuple[Opening, Any]]:
    database = new_database()
    admin.command(f"CREATE DATABASE {database}")

    def client() -> Any:
        return clickhouse_connect.get_client(interface="chdb", path=engine, database=database)

    def opening() -> ClickHouseHistory:
        opened = client()
        migrate(opened)
        return ClickHouseHistory(opened)

    direct = client()
    lay_out(direct, migrated)
    yield opening, direct
    direct.close()
    admin.command(f"DROP DATABASE {database}")


@contextlib.contextmanager
def on_server(config: HistoryConfig, migrated: Iterable[str] = ()) -> Iterator[tuple[Opening, Any]]:
    direct = connect_server(config)
    if migrated:
        lay_out(direct, migrated)
    yield lambda: open_history(config), direct
    direct.command(f"DROP DATABASE `{direct.database}`")
    direct.close()


def config_of_front(front: FrontProcess) -> HistoryConfig:
    return HistoryConfig(url=front.history_url(new_database()), base=Path())


def config_of_server() -> HistoryConfig:
    """Return a database of the named server that nobody else has."""
    if SERVER not in os.environ:
        pytest.skip(f"needs a ClickHouse server: {SERVER}=clickhouse://user@host:port")
    parts = urlsplit(os.environ[SERVER])
    password = unquote(parts.password or "")
    if file := os.environ.get(f"{SERVER}_PASSWORD_FILE"):
        password = Path(file).read_text(encoding="utf-8").strip()
    url = f"clickhouse://{parts.username or 'default'}@{parts.hostname}:{parts.port or 8123}"
    return HistoryConfig(url=f"{url}/anchorwatch_{os.getpid()}_{new_database()}", base=Path(), password=password)


def place_of(kind: str, request: pytest.FixtureRequest) -> contextlib.AbstractContextManager[tuple[Opening, Any]]:
    """Return how to open the one history again and again, and a client to look behind it."""
    if kind == "chdb":
        return embedded(*map(request.getfixturevalue, ("engine", "admin", "migrated")))
    if kind == "http":
        return on_server(config_of_front(request.getfixturevalue("front")), request.getfixturevalue("migrated_front"))
    return on_server(config_of_server())


@pytest.fixture(scope="module")
def migrated_front(front: FrontProcess, migrated: list[str]) -> list[str]:
    """The front with a database that is migrated, and the statements that copy its tables."""
    open_history(HistoryConfig(url=front.history_url("migrated"), base=Path())).close()
    return migrated


OVER_HTTP = pytest.param("http", marks=pytest.mark.slow)


@pytest.fixture(params=["chdb", OVER_HTTP, "server"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Opening, Any]]:
    with place_of(request.param, request) as place:
        yield place


@pytest.fixture(params=["chdb", OVER_HTTP, "server", "memory"])
def remembered(request: pytest.FixtureRequest) -> Iterator[AnyHistory]:
    """A history of any kind, for what the analyzer asks of it."""
    if request.param == "memory":
        yield MemoryHistory()
        return
    with place_of(request.param, request) as (opening, _), contextlib.closing(opening()) as history:
        yield history


@pytest.fixture
def opening(place: tuple[Opening, Any]) -> Iterator[Opening]:
    opened: list[ClickHouseHistory] = []

    def opening() -> ClickHouseHistory:
        opened.append(place[0]())
        return opened[-1]

    yield opening
    for history in opened:
        history.close()


@pytest.fixture
def history(opening: Opening) -> ClickHouseHistory:
    return opening()


@pytest.fixture
def client(place: tuple[Opening, Any], history: ClickHouseHistory) -> Any:
    return place[1]


def test_an_empty_history_knows_nothing(history: ClickHouseHistory) -> None:
    assert history.is_ready()
    assert answers_of(history) == [{}, {}, [], [], [], [], [], {}, [[], []], None, [], []]


def test_the_same_rows_again_change_nothing(history: ClickHouseHistory) -> None:
    history.append(everything())
    known = answers_of(history)

    for _ in range(2):
        history.append(everything())

    assert answers_of(history) == known


def test_a_batch_that_is_sent_twice_is_stored_once(opening: Opening, history: ClickHouseHistory, client: Any) -> None:
    for table in rows.COLUMNS:
        client.command(f"SYSTEM STOP MERGES {table}")
    tables = everything()

    def stored() -> dict[str, int]:
        return {table: client.query(f"SELECT count() FROM {table}").result_rows[0][0] for table in rows.COLUMNS}

    history.append(tables)
    once = stored()
    history.append(tables)
    opening().append(everything())

    assert all(once.values())
    assert stored() == once
    history.append({table: [*data, data[0]] for table, data in tables.items()})  # another batch, though of known rows
    assert all(count > once[table] for table, count in stored().items())


def test_a_reopened_history_has_everything(opening: Opening, history: ClickHouseHistory) -> None:
    history.append(everything())

    assert answers_of(opening()) == answers_of(history)


def test_a_baseline_is_strictly_earlier_and_validated(remembered: AnyHistory) -> None:
    first, second = bank(answers=("192.0.2.1",)), bank(at=AT + MINUTE, answers=("192.0.2.2",))
    bogus = bank(at=AT + 2 * MINUTE, verdict="bogus", code="rrsig_expired")
    remembered.append(tables_of(first, second, bogus))

    def before(at: Any) -> Any:
        return remembered.validated_before({first.subject: at}).get(first.subject)

    assert before(AT) is None
    assert before(AT + timedelta(microseconds=1)) == first.judgement
    assert before(AT + MINUTE) == first.judgement
    assert before(AT + DAY) == second.judgement


def test_of_sweeps_the_last_that_was_on_time_is_remembered(remembered: AnyHistory) -> None:
    first, second, late = (sweep(at=AT + n * MINUTE) for n in (0, 2, 3))
    other = sweep(at=AT, zone="other.test.")
    kept = [(first, "one"), (second, "two"), (late, ""), (other, "other")]
    remembered.append({"sweeps": [rows.sweep_row(one, one.swept_at, memory) for one, memory in kept]})

    assert remembered.sweep_memories() == [
        ("bank.example.", "authoritative", "two"),
        ("other.test.", "authoritative", "other"),
    ]
    assert remembered.sweep_memories([("other.test.", "authoritative")]) == [("other.test.", "authoritative", "other")]
    wanted = {first.id: first.zone, late.id: late.zone, "nobody": "none."}
    assert remembered.sweeps_stored_of(wanted) == {first.id, late.id}


def test_sweeps_come_newest_first(history: ClickHouseHistory) -> None:
    first, second, late = (sweep(at=AT + n * MINUTE) for n in (0, 2, 3))
    other = sweep(at=AT, zone="other.test.")
    history.append({"sweeps": [rows.sweep_row(one, one.swept_at, "") for one in (first, second, late, other)]})

    assert history.sweeps("bank.example.") == [late, second, first]
    assert history.sweeps("bank.example.", 1) == [late]
    assert history.sweeps() == [late, other]


def test_earlier_answers_are_those_that_were_validated(remembered: AnyHistory) -> None:
    first, second = bank(answers=("192.0.2.1",)), bank(at=AT + MINUTE, answers=("192.0.2.2", "192.0.2.3"))
    forged = bank(at=AT + 2 * MINUTE, verdict="bogus", code="rrsig_expired", answers=("203.0.113.9",))
    remembered.append(tables_of(first, second, forged))

    def before(at: Any) -> list[str]:
        found = remembered.sightings_before({first.subject: at}).get(first.subject, [])
        return sorted(sighting.data for sighting in found)

    assert before(AT) == []
    assert before(AT + MINUTE) == ["192.0.2.1"]
    assert before(AT + DAY) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_a_record_was_there_for_as_long_as_polls_went_on_with_its_observations(remembered: AnyHistory) -> None:
    first, second = bank(answers=("192.0.2.1",), ttl_s=60), bank(at=AT + DAY, answers=("192.0.2.2",), ttl_s=30)
    third = bank(at=AT + DAY + MINUTE, answers=("192.0.2.1", "192.0.2.2"), ttl_s=300)
    remembered.append(tables_of(first, second, third))
    for one, at in ((first, AT + MINUTE), (first, AT + 2 * MINUTE), (third, AT + 2 * DAY)):
        remembered.append(polled(one, at))

    def seen(at: Any) -> dict[str, Any]:
        found = remembered.sightings_before({first.subject: at}).get(first.subject, [])
        return {one.data: (one.first_at, one.last_at, one.held, one.times, one.ttl_s) for one in found}

    assert seen(AT + DAY) == {"192.0.2.1": (AT, AT + 2 * MINUTE, 2 * MINUTE, 1, 60)}
    until = AT + DAY + 2 * MINUTE
    assert seen(until) == {
        "192.0.2.1": (AT, until, 3 * MINUTE, 2, 300),
        "192.0.2.2": (AT + DAY, until, MINUTE, 2, 300),
    }
    assert set(seen(AT + 31 * DAY)) == {"192.0.2.1", "192.0.2.2"}
    assert seen(AT + 33 * DAY) == {}, "what ended more than 30 days ago is forgotten"


def test_many_subjects_are_asked_about_each_with_its_own_instant(remembered: AnyHistory) -> None:
    made = [bank(f"h{n}", at=AT + n * MINUTE) for n in range(1100)]
    remembered.append(tables_of(*made))

    found = remembered.validated_before({one.subject: one.observed_at + (n % 2) * MINUTE for n, one in enumerate(made)})

    assert found == {one.subject: one.judgement for one in made[1::2]}


def test_the_latest_judgement_of_each_subject_knows_its_last_poll(remembered: AnyHistory) -> None:
    old, new, other = bank(), bank(at=AT + MINUTE, answers=("192.0.2.2",)), bank("www")
    polled = rows.stretched_rows(polls(new, at=AT + 5 * MINUTE), {new.id: ("secure", "")})
    remembered.append(tables_of(old, new, other))
    remembered.append({"verdicts": polled})

    found = {row[0]: row[1:] for row in remembered.latest_judgements()}

    assert found == {
        new.id: (AT + MINUTE, AT + 5 * MINUTE, new.judgement),
        other.id: (AT, AT, other.judgement),
    }


def test_intervals_stretch_with_every_poll(history: ClickHouseHistory) -> None:
    first, second = bank(), bank(at=AT + 10 * MINUTE, verdict="bogus", code="rrsig_expired")
    history.append(tables_of(first, second))
    for minute in (3, 7, 5):
        history.append(
            {"verdicts": rows.stretched_rows(polls(first, at=AT + minute * MINUTE), {first.id: ("secure", "")})}
        )

    newest, oldest = history.intervals("api.bank.example.")

    assert (oldest["verdict"], oldest["first_seen_at"], oldest["last_seen_at"]) == ("secure", AT, AT + 7 * MINUTE)
    assert (newest["verdict"], newest["cause_zone"], newest["reasons"]) == ("bogus", "bank.example.", ["rrsig_expired"])
    assert history.intervals("api.bank.example.", rdtype="AAAA") == []
    assert history.intervals("api.bank.example.", vantage="elsewhere") == []
    assert [one["observation"] for one in history.intervals("api.bank.example.", limit=1)] == [second.id]


def test_of_an_instant_the_last_interval_is_found_that_began_by_then(history: ClickHouseHistory) -> None:
    first, second, other = bank(), bank(at=AT + 10 * MINUTE), bank(at=AT + 2 * MINUTE, vantage="dmz")
    history.append(tables_of(first, second, other))

    def at(minute: int) -> set[str]:
        return {one["observation"] for one in history.intervals("api.bank.example.", at=AT + minute * MINUTE)}

    assert [at(minute) for minute in (-1, 0, 2, 9, 10)] == [
        set(), {first.id}, {first.id, other.id}, {first.id, other.id}, {second.id, other.id},
    ]  # fmt: skip


def test_an_interval_knows_until_when_its_answer_was_signed_at_the_last_poll(history: ClickHouseHistory) -> None:
    first = bank()
    assert first.signed is not None
    history.append(tables_of(first))
    for minute, days in ((3, 20), (6, 30), (9, 18)):
        resigned = msgspec.structs.replace(first.signed, expires_at=AT + days * DAY)
        batch = polls(msgspec.structs.replace(first, signed=resigned), at=AT + minute * MINUTE)
        history.append({"verdicts": rows.stretched_rows(batch, {first.id: ("secure", "")})})

    assert [one["signed_until"] for one in history.intervals("api.bank.example.")] == [AT + 18 * DAY]


def test_zones_are_found_as_they_were_seen_at_an_instant(history: ClickHouseHistory) -> None:
    old, new = zones_of(judgement(), AT), zones_of(judgement(), AT + DAY)
    history.append({"zones": [rows.zone_row(one) for one in (*old, *new)]})

    def at(instant: Any, vantage: str = "corp") -> dict[str, str]:
        return {zone: one.id for zone, one in history.zones_at([".", "bank.example."], vantage, instant).items()}

    assert at(AT + DAY - MINUTE) == {".": old[0].id, "bank.example.": old[2].id}
    assert at(AT + DAY) == {".": new[0].id, "bank.example.": new[2].id}
    assert at(AT - MINUTE) == at(AT, "dmz") == {} == history.zones_at([], "corp", AT)


def test_zones_come_with_the_first_sight_of_each_of_their_key_sets(remembered: AnyHistory) -> None:
    keys = [(key(1, entry=True), key(number)) for number in (2, 2, 4, 4, 5)]
    sights = [zone_observation(link(".", keys=of), AT + day * DAY) for day, of in enumerate(keys)]
    sights.append(zone_observation(link(".", verdict=Verdict.BOGUS), AT + 6 * DAY))
    other = zone_observation(link("."), AT, vantage="dmz")
    remembered.append({"zones": [rows.zone_row(one) for one in (*sights, other)]})

    def lately(since: datetime) -> list[str]:
        return [one.id for one in remembered.zones_lately(since, [(".", "corp")])]

    first, _, third, fourth, fifth, bogus = (one.id for one in sights)
    assert lately(AT) == [first, third, fifth, bogus]
    assert lately(AT + 3 * DAY) == [fourth, fifth, bogus]
    assert lately(AT + 9 * DAY) == [fifth, bogus], "the newest, and the newest that was validated"
    assert {one.vantage for one in remembered.zones_lately(AT)} == {"corp", "dmz"}


def test_acts_come_newest_first(remembered: AnyHistory) -> None:
    acts = [Act(id=f"a{number}", kind="silence", by="ops", at=AT + number * MINUTE) for number in range(3)]
    remembered.append({"acts": [rows.act_row(act) for act in acts]})

    assert remembered.acts() == acts[::-1]
    assert remembered.acts(2) == acts[:0:-1]


def test_open_are_the_states_that_have_not_closed_and_the_drifts_of_a_day(remembered: AnyHistory) -> None:
    state, gone = finding(), finding(zone="gone.example.")
    drift, old_drift = finding("ds_changed"), finding("ds_changed", opened_at=AT - 2 * DAY)
    confirmed = msgspec.structs.replace(state, version=2, status=FindingStatus.UPDATED, updated_at=AT + MINUTE)
    versions = [state, gone, drift, old_drift, confirmed, closed(gone, at=AT + MINUTE)]
    remembered.append({"findings": [rows.finding_row(one, "t") for one in versions]})

    assert sorted(remembered.open_findings(), key=lambda one: one.code) == [drift, confirmed]
    assert remembered.finding_versions(state.id) == [state, confirmed]


def test_findings_are_filtered_and_come_newest_first(remembered: AnyHistory) -> None:
    state, drift = finding(), finding("ds_changed", zone="b.example.", opened_at=AT + 2 * MINUTE)
    gone = finding(zone="gone.example.")
    shut = closed(gone, at=AT + MINUTE)
    remembered.append({"findings": [rows.finding_row(one, "t") for one in (state, drift, gone, shut)]})

    assert remembered.findings() == [drift, shut, state]
    assert remembered.findings(status="open") == [state, drift], "a drift must not push a state off the list"
    assert remembered.findings(status="closed") == [shut]
    assert remembered.findings(code="ds_changed") == [drift]
    assert remembered.findings(zone="bank.example.") == [state]
    assert remembered.findings(name="api.bank.example.") == [drift, shut, state]
    assert remembered.findings(name="pi.bank.example.") == []
    assert remembered.findings(since=AT + MINUTE) == [drift, shut]
    assert remembered.findings(limit=1) == [drift]


def test_acts_that_count_on_come_oldest_first(remembered: AnyHistory) -> None:
    kinds: tuple[ActKind, ...] = ("accept", "silence", "declare_change")
    acts = [Act(id=kind, kind=kind, by="ops", at=AT + number * MINUTE) for number, kind in enumerate(kinds)]
    remembered.append({"acts": [rows.act_row(act) for act in acts]})

    assert remembered.standing_acts(("declare_change", "accept")) == [acts[0], acts[2]]


def test_a_finding_is_found_by_its_id(remembered: AnyHistory) -> None:
    state, drift = finding(), finding("ds_changed")
    over = closed(state, at=AT + MINUTE)
    versions = [(state, "first"), (over, "second"), (drift, "third")]
    remembered.append({"findings": [rows.finding_row(one, trigger) for one, trigger in versions]})

    assert sorted(remembered.findings_of([state.id, drift.id, "none"]), key=lambda one: one.code) == [drift, over]
    assert remembered.findings_of([]) == []


def test_what_opened_a_finding_is_found_again(remembered: AnyHistory) -> None:
    state = finding()
    versions = [(state, "first"), (closed(state, at=AT + MINUTE), "second")]
    remembered.append({"findings": [rows.finding_row(one, trigger) for one, trigger in versions]})

    assert remembered.first_triggers([state.id, "none"]) == {state.id: "first"}
    assert remembered.first_triggers([]) == {}


def test_every_version_comes_in_order_and_in_pages(history: ClickHouseHistory) -> None:
    states = [finding(zone=f"z{number}.example.", opened_at=AT + number % 2 * MINUTE) for number in range(6)]
    versions = [*states, *(closed(one, at=AT + 2 * MINUTE) for one in states)]
    history.append({"findings": [rows.finding_row(one, "t") for one in versions]})
    in_order = sorted(versions, key=lambda one: (one.updated_at, one.id, one.version))

    found: list[Finding] = []
    after = None
    while page := history.versions(AT, after, 5):
        found += page
        after = (page[-1].updated_at, page[-1].id, page[-1].version)

    assert found == in_order
    assert history.versions(AT + MINUTE, None, 100) == [one for one in in_order if one.updated_at > AT]


def test_findings_are_known_as_they_were_at_an_instant(history: ClickHouseHistory) -> None:
    state, drift, old_drift = finding(), finding("ds_changed"), finding("ds_changed", opened_at=AT - 2 * DAY)
    versions = [state, drift, old_drift, closed(state, at=AT + HOUR)]
    history.append({"findings": [rows.finding_row(one, "t") for one in versions]})

    assert history.findings_at(AT) == []
    assert sorted(history.findings_at(AT + HOUR), key=lambda one: one.code) == [drift, state]
    assert history.findings_at(AT + HOUR + MINUTE) == [drift]
    assert history.findings_at(AT + 2 * DAY) == []


def walk(ask: Callable[..., list[Any]], place: Callable[[Any], Any], limit: int) -> list[Any]:
    """Return all rows of a list, asked for page by page."""
    seen: list[Any] = []
    after = None
    while rows_of_page := ask(limit=limit, after=after):
        assert len(rows_of_page) <= limit
        seen += rows_of_page
        after = place(rows_of_page[-1])
    return seen


@pytest.mark.parametrize("status", ["", "open"])
def test_findings_are_listed_page_by_page_each_once(history: ClickHouseHistory, status: str) -> None:
    found = [
        msgspec.structs.replace(
            finding("ds_changed" if n % 3 else "rrsig_expired", key=f"k{n}", opened_at=AT + n // 2 * MINUTE), id=f"f{n}"
        )
        for n in range(9)
    ]
    history.append({"findings": [rows.finding_row(one, f"t{one.id}") for one in found]})

    def ask(**page: Any) -> list[Finding]:
        return history.findings(status=status, **page)

    whole = ask(limit=100)
    assert len(whole) == 9
    assert walk(ask, lambda one: place_of_finding(one, status), 2) == whole
    assert history.findings(severity="critical") == [one for one in history.findings() if one.severity == "critical"]


def test_acts_sweeps_and_intervals_are_listed_page_by_page_each_once(history: ClickHouseHistory) -> None:
    kinds: list[ActKind] = ["note", "accept"]
    acts = [
        Act(id=f"a{n}", kind=kinds[n % 2], by=("ana", "bo")[n % 2], at=AT + n // 2 * MINUTE, subject=f"s{n}")
        for n in range(7)
    ]
    observed = [bank(at=AT + n * HOUR) for n in range(5)]
    sweeps = [sweep(zone=f"z{n % 3}.example.", at=AT + n // 2 * MINUTE) for n in range(6)]
    history.append(
        {
            "acts": [rows.act_row(one) for one in acts],
            "sweeps": [rows.sweep_row(one, one.swept_at, "") for one in sweeps],
            "observations": [rows.observation_row(one) for one in observed],
            "verdicts": [rows.verdict_row(one) for one in observed],
        }
    )

    assert walk(history.acts, lambda one: row_place(one.at, one.id), 2) == history.acts()
    assert len(history.acts()) == 7
    assert [one.id for one in history.acts(kind="accept", by="bo", subject="s3")] == ["a3"]
    assert history.acts(kind="note", by="bo") == []
    assert walk(history.sweeps, lambda one: row_place(one.swept_at, one.id), 2) == history.sweeps()
    assert len(history.sweeps()) == 3
    zone = partial(history.sweeps, "z0.example.")
    assert walk(zone, lambda one: row_place(one.swept_at, one.id), 1) == zone()
    assert len(zone()) == 2
    assert history.sweeps(vantage="nowhere") == []
    name = partial(history.intervals, observed[0].judgement.name)
    assert walk(name, lambda one: row_place(one["first_seen_at"], one["observation"]), 2) == name()
    assert len(name()) == 5


def test_what_was_found_and_observed_is_counted(history: ClickHouseHistory) -> None:
    before = history.row_counts()
    history.append({"findings": [rows.finding_row(finding(), "one")]})
    after_finding = history.row_counts()
    history.append({"observations": [rows.observation_row(bank())]})

    assert before == (0, 0)
    assert after_finding == (1, 0)
    assert history.row_counts() == (1, 1)


def test_a_time_without_any_poll_is_a_gap(history: ClickHouseHistory) -> None:
    first, other = bank(), bank("www", AT + 5 * MINUTE)
    again = bank(at=AT + 3 * HOUR)
    stretched = polls(first, at=AT + HOUR), polls(again, at=AT + 4 * HOUR)
    interval_rows = [rows.verdict_row(one) for one in (first, other, again)]
    for batch in stretched:
        interval_rows += rows.stretched_rows(batch, {one.id: ("secure", "") for one in (first, again)})
    history.append({"verdicts": interval_rows})

    def gaps(since: Any, until: Any) -> list[tuple[float, float]]:
        found = history.gaps(since, until, 15 * MINUTE)
        return [((begin - AT) / HOUR, (end - AT) / HOUR) for begin, end in found]

    assert gaps(AT, AT + 4 * HOUR) == [(1, 3)]
    assert gaps(AT - HOUR, AT + 5 * HOUR) == [(-1, 0), (1, 3), (4, 5)]
    assert gaps(AT, AT + HOUR + 10 * MINUTE) == []
    assert gaps(AT + 10 * HOUR, AT + 20 * HOUR) == [(10, 20)]
    assert gaps(AT + HOUR, AT + 2 * HOUR) == [(1, 2)]


def test_what_a_message_caused_is_found_again(remembered: AnyHistory) -> None:
    first, second = finding(), finding("ds_changed")
    remembered.append({"findings": [rows.finding_row(first, "one"), rows.finding_row(second, "two")]})

    assert remembered.findings_triggered_by(["one"]) == [first]
    assert remembered.findings_triggered_by(["two", "never"]) == [second]
    assert remembered.findings_triggered_by([]) == []


def test_an_identity_is_as_it_was_last_seen_and_can_leave(remembered: AnyHistory) -> None:
    seen = [snapshot("sa", "a.example"), snapshot("sa", "b.example", at=AT + MINUTE), snapshot("sb", "c.example")]
    gone = InventorySnapshot(id="sb", seen_at=AT + MINUTE, identity=None)
    remembered.append({"identities": [rows.identity_row(one) for one in (*seen, gone)]})

    assert remembered.identities() == [("sa", seen[1].identity)]


def test_observations_are_found_by_id_with_their_last_poll(remembered: AnyHistory) -> None:
    one, other = bank(), bank("www")
    remembered.append(tables_of(one, other))
    for minute in (7, 3):
        remembered.append(polled(one, AT + minute * MINUTE))

    assert remembered.stored_of([one.id, "never"]) == {one.id}
    assert remembered.judgements_of([other.id, "never"]) == {other.id: other.judgement}
    assert remembered.polled_until({one.id: one.judgement.name, "never": one.judgement.name}) == {
        one.id: AT + 7 * MINUTE
    }


def test_an_observation_of_a_zone_that_comes_again_is_stored_already(remembered: AnyHistory) -> None:
    sights = zones_of(judgement(), AT)
    for _ in range(2):
        remembered.append({"zones": [rows.zone_row(one) for one in sights]})

    assert remembered.zones_stored_of([sights[0].id, "never"]) == {sights[0].id}
    assert sorted(one.id for one in remembered.zones_lately(AT)) == sorted(one.id for one in sights)


def test_renewals_are_in_order(remembered: AnyHistory) -> None:
    of_keys = [("a.", AT + DAY, 0.5, True, 0.0)]
    remembered.append({"renewals": [("a.", AT + n * DAY, n / 10, False, n * 60.0) for n in (3, 1, 2)] + of_keys})

    assert remembered.renewals() == {
        ("a.", False): [(0.1, 60.0), (0.2, 120.0), (0.3, 180.0)],
        ("a.", True): [(0.5, 0.0)],
    }


def test_evidence_comes_back_octet_by_octet(history: ClickHouseHistory) -> None:
    wires = (bytes(range(256)), b"", b";\n'\\")
    one = bank()
    assert one.evidence is not None
    evidence = msgspec.structs.replace(one.evidence, messages=wires, policy={"profile": "iana2025"})
    row, messages = rows.evidence_rows(evidence)
    history.append({"evidence": [row], "evidence_messages": messages})

    assert history.evidence(evidence.digest) == evidence
    assert history.evidence("0" * 64) is None


def test_a_row_that_no_table_can_hold_is_rejected_and_its_neighbours_are_not(history: ClickHouseHistory) -> None:
    good = snapshot("sa", "api.bank.example")
    for bad in (("sb", AT, "\ud800"), ("sb", AT, None), ("sb", "yesterday", "{}")):
        with pytest.raises(Rejected):
            history.append({"identities": [rows.identity_row(good), bad]})

    history.append({"identities": [rows.identity_row(good)]})

    assert history.identities() == [("sa", good.identity)]


def test_a_table_that_is_gone_is_waited_for(history: ClickHouseHistory, client: Any) -> None:
    client.command("RENAME TABLE identities TO elsewhere")
    with pytest.raises(Transient, match="a table was dropped"):
        history.identities()
    with pytest.raises(Transient, match="a table was dropped"):
        history.append({"identities": [rows.identity_row(snapshot("sa"))]})
    client.command("RENAME TABLE elsewhere TO identities")

    history.append({"identities": [rows.identity_row(snapshot("sa"))]})

    assert len(history.identities()) == 1


def test_one_history_serves_many_threads(history: ClickHouseHistory) -> None:
    def work(number: int) -> None:
        history.append(tables_of(bank(f"h{number}")))
        assert len(history.intervals(f"h{number}.bank.example.")) == 1
        done.append(number)

    done: list[int] = []
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == list(range(8))
    assert len(history.latest_judgements()) == 8


def test_two_that_start_at_once_both_succeed(front: FrontProcess) -> None:
    config = config_of_front(front)
    opened: list[ClickHouseHistory] = []
    threads = [threading.Thread(target=lambda: opened.append(open_history(config))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(opened) == 4
    opened[0].append(everything())
    assert answers_of(opened[3]) == answers_of(opened[0])
    for history in opened:
        history.close()


def test_a_server_that_crashes_is_waited_for_and_nothing_is_lost(start_front: Callable[..., FrontProcess]) -> None:
    front = start_front()
    history: ClickHouseHistory = open_history(HistoryConfig(url=front.history_url(), base=Path()))
    history.append(tables_of(bank("www")))

    front.kill()
    assert not history.is_ready()
    with pytest.raises(Transient, match="can't be written: connection refused"):
        history.append(everything())
    with pytest.raises(Transient, match="can't be read: connection refused"):
        history.identities()
    front.start()
    history.append(everything())

    assert history.is_ready()
    assert {judged.name for _, _, _, judged in history.latest_judgements()} == {
        "api.bank.example.",
        "www.bank.example.",
    }
    again: ClickHouseHistory = open_history(HistoryConfig(url=front.history_url(), base=Path()))
    assert answers_of(again) == answers_of(history)
    history.close()
    again.close()


def test_a_token_names_the_table_and_every_value() -> None:
    data = [("sa", AT, "{}"), ("sb", AT, "{}")]

    assert token_of("identities", data) == token_of("identities", [("sa", AT, "{}"), ("sb", AT, "{}")])
    others = {
        token_of("renewals", data),
        token_of("identities", data[:1]),
        token_of("identities", data[::-1]),
        token_of("identities", [("sa", AT, "{}"), ("sb", AT + timedelta(microseconds=1), "{}")]),
    }
    assert len(others | {token_of("identities", data)}) == 5
