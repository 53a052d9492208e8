"""What pages ask, on the real engine: lists that are sorted, filtered, counted and cut by the database."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from analyzer.history import rows
from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.history.reading import checks, days, findings, identities, zones
from analyzer.history.reading.finding import find_anything
from schemas.judgement import ResolverClaim, Verdict
from schemas.messages import Endpoint, FindingStatus, Identity, InventorySnapshot, Occasion, utc
from tests.support.findings import finding
from tests.support.making import AT, judgement, link, observation, polls, snapshot, zones_of

HOUR = timedelta(hours=1)
ODD = "\\000\\\"'><b>%_\u202e.example."


def store(history: ClickHouseHistory, *judged: tuple[Any, Any], occasion: Occasion = Occasion.CHANGE) -> list[Any]:
    """Store judgements with their instants; return the observations."""
    made = [observation(one, at, occasion) for one, at in judged]
    zones_seen = [zone for one, at in judged for zone in zones_of(one, at)]
    history.append(
        {
            "observations": [rows.observation_row(one) for one in made],
            "verdicts": [rows.verdict_row(one) for one in made],
            "zones": [rows.zone_row(zone) for zone in zones_seen],
        }
    )
    return made


def enlist(history: ClickHouseHistory, *snapshots: InventorySnapshot) -> None:
    history.append({"identities": [rows.identity_row(one) for one in snapshots]})


def names_of(page: Any) -> list[str]:
    return [row.name for row in page.rows]


@pytest.fixture
def world(history: ClickHouseHistory) -> ClickHouseHistory:
    """Three names of two owners: one is bogus, one unsigned, one secure; a fourth is consumed by nobody any more."""
    bogus = judgement("api.bank.example.", verdict="bogus", code="rrsig_expired")
    unsigned = judgement(
        "old.shop.example.", verdict="insecure", code="no_ds", zone="shop.example.", chain=(link("."),)
    )
    store(
        history,
        (judgement("api.bank.example."), AT - 30 * HOUR),
        (judgement("www.bank.example."), AT - 30 * HOUR),
        (judgement("gone.bank.example."), AT - 2 * HOUR),
        (unsigned, AT - 3 * HOUR),
        (bogus, AT - HOUR),
    )
    store(history, (judgement("www.bank.example."), AT), occasion=Occasion.REFRESH)
    shop = Identity(id="bot", owner="shop", endpoints=(Endpoint(host="old.shop.example"),))
    enlist(
        history,
        snapshot("sa", "api.bank.example", "www.bank.example"),
        InventorySnapshot(id="bot", seen_at=AT, identity=shop),
        InventorySnapshot(id="left", seen_at=AT, identity=None),
    )
    return history


def test_the_weakest_come_first_and_what_nobody_consumes_is_left_out(world: ClickHouseHistory) -> None:
    page = checks.Checks(world.read).page(checks.Wanted(), "verdict", 1, 50)

    assert [(row.name, row.verdict) for row in page.rows] == [
        ("api.bank.example.", "bogus"),
        ("old.shop.example.", "insecure"),
        ("www.bank.example.", "secure"),
    ]
    assert page.total == 3
    assert checks.Checks(world.read).counts(checks.Wanted()) == {
        "secure": 1,
        "insecure": 1,
        "indeterminate": 0,
        "bogus": 1,
    }


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"owner": "payments"}, ["api.bank.example.", "www.bank.example."]),
        ({"identity": "bot"}, ["old.shop.example."]),
        ({"zone": "bank.example."}, ["api.bank.example.", "www.bank.example."]),
        ({"verdict": "insecure"}, ["old.shop.example."]),
        ({"cause": "shop.example."}, ["old.shop.example."]),
        ({"text": "BANK"}, ["api.bank.example.", "www.bank.example."]),
        ({"text": "bot"}, ["old.shop.example."]),
        ({"text": "payments"}, ["api.bank.example.", "www.bank.example."]),
        ({"text": ODD}, []),
        ({"vantage": "nowhere"}, []),
        ({"type": "A", "vantage": "corp", "owner": "shop"}, ["old.shop.example."]),
    ],
)
def test_filters_are_the_databases(world: ClickHouseHistory, wanted: dict[str, str], names: list[str]) -> None:
    assert names_of(checks.Checks(world.read).page(msgspec.convert(wanted, checks.Wanted), "verdict", 1, 50)) == names


def test_each_order_is_total_and_pages_hold_every_row_once(world: ClickHouseHistory) -> None:
    asked = checks.Checks(world.read)
    for order in checks.ORDERS:
        seen = [name for number in (1, 2, 3) for name in names_of(asked.page(checks.Wanted(), order, number, 1))]
        assert sorted(seen) == ["api.bank.example.", "old.shop.example.", "www.bank.example."], order


def test_a_page_behind_the_end_is_the_last(world: ClickHouseHistory) -> None:
    page = checks.Checks(world.read).page(checks.Wanted(), "verdict", 99, 2)

    assert (names_of(page), page.number, page.last, page.total) == (["www.bank.example."], 2, 2, 3)
    assert (page.first_row, page.last_row) == (3, 3)


def test_an_empty_history_has_empty_pages(history: ClickHouseHistory) -> None:
    asked = checks.Checks(history.read)

    page = asked.page(checks.Wanted(), "verdict", 7, 50)
    assert (page.rows, page.total, page.number, page.last) == ([], 0, 1, 1)
    assert asked.measure() == (0, None, None)
    assert asked.since([]) == {}
    assert days.Days(history.read).counts(AT - HOUR, AT) == {"weaker": 0, "stronger": 0, "data": 0, "first": 0}
    assert identities.Identities(history.read).count() == (0, 0, 0)


def test_a_check_has_its_verdict_since_its_last_change_of_verdict(world: ClickHouseHistory) -> None:
    store(world, (judgement("www.bank.example.", answers=("192.0.2.9",)), AT + HOUR))
    asked = checks.Checks(world.read)
    found = asked.since(asked.page(checks.Wanted(), "verdict", 1, 50).rows)

    assert found["api.bank.example.", "A", "corp"] == AT - HOUR
    assert found["www.bank.example.", "A", "corp"] == AT - 30 * HOUR


def test_what_is_polled_no_more_leaves_after_a_day(world: ClickHouseHistory) -> None:
    store(world, (judgement("api.bank.example."), AT + 30 * HOUR))

    assert names_of(checks.Checks(world.read).page(checks.Wanted(), "name", 1, 50)) == ["api.bank.example."]


def test_a_poll_that_found_the_same_keeps_a_check_watched(world: ClickHouseHistory) -> None:
    store(world, (judgement("api.bank.example."), AT + 30 * HOUR))
    unsigned = judgement("old.shop.example.", verdict="insecure", code="no_ds", zone="shop.example.")
    batch = polls(observation(unsigned, AT - 3 * HOUR), at=AT + 29 * HOUR)
    world.append({"verdicts": rows.stretched_rows(batch, {batch.observations[0]: ("insecure", "shop.example.")})})

    assert names_of(checks.Checks(world.read).page(checks.Wanted(), "name", 1, 50)) == [
        "api.bank.example.",
        "old.shop.example.",
    ]


def test_the_past_is_as_it_was(world: ClickHouseHistory) -> None:
    store(world, (judgement("api.bank.example."), AT + HOUR))
    asked = checks.Checks(world.read)

    page = asked.page(checks.Wanted(at=AT), "verdict", 1, 50)
    assert (page.rows[0].name, page.rows[0].verdict) == ("api.bank.example.", "bogus")
    assert asked.counts(checks.Wanted(at=AT - 20 * HOUR))["secure"] == 2
    assert [check.verdict for check, _ in asked.of_name("api.bank.example.", AT)] == ["bogus"]
    assert [check.verdict for check, _ in asked.of_name("api.bank.example.")] == ["secure"]


def test_neighbouring_intervals_that_say_the_same_are_one(history: ClickHouseHistory) -> None:
    same = judgement("api.bank.example.")
    store(history, (same, AT))
    store(history, *((same, AT + day * 24 * HOUR) for day in range(1, 6)), occasion=Occasion.REFRESH)
    store(history, (judgement("api.bank.example.", verdict="bogus", code="rrsig_expired"), AT + 200 * HOUR))
    store(history, (same, AT + 201 * HOUR))

    page = checks.Checks(history.read).intervals("api.bank.example.", None, 1, 50)

    assert [(one.verdict, one.observations) for one in page.rows] == [("secure", 1), ("bogus", 1), ("secure", 6)]
    assert (page.rows[2].first_seen_at, page.rows[2].last_seen_at) == (AT, AT + 120 * HOUR)
    assert page.total == 3


def test_resolvers_are_counted_by_verdict_and_claim(history: ClickHouseHistory) -> None:
    store(
        history,
        (judgement("a.bank.example.", claim=ResolverClaim(ad=True, rcode="NOERROR")), AT),
        (judgement("b.bank.example.", claim=ResolverClaim(ad=False, rcode="NOERROR")), AT),
        (judgement("c.bank.example.", verdict="bogus", code="x", claim=ResolverClaim(ad=False, rcode="SERVFAIL")), AT),
        (judgement("d.bank.example."), AT),
    )

    assert checks.Checks(history.read).vantages() == [
        ("corp", "bogus", "SERVFAIL", 1),
        ("corp", "secure", "", 1),
        ("corp", "secure", "AD", 1),
        ("corp", "secure", "NOERROR", 1),
    ]


def test_identities_have_their_weakest_name_and_owners_the_sum(world: ClickHouseHistory) -> None:
    asked = identities.Identities(world.read)

    found = [
        (one.id, one.verdict, one.hosts, one.bogus) for one in asked.page(identities.Wanted(), "verdict", 1, 50).rows
    ]
    assert found == [("sa", "bogus", 2, 1), ("bot", "insecure", 1, 0)]
    assert [one.id for one in asked.page(identities.Wanted(verdict="insecure"), "identity", 1, 50).rows] == ["bot"]
    assert [one.id for one in asked.page(identities.Wanted(zone="bank.example."), "identity", 1, 50).rows] == ["sa"]
    assert [one.id for one in asked.page(identities.Wanted(text="OLD.shop"), "identity", 1, 50).rows] == ["bot"]
    owners = [(one.owner, one.identities, one.bogus, one.unsigned) for one in asked.owners("", "verdict", 1, 50).rows]
    assert owners == [("payments", 1, 1, 0), ("shop", 1, 0, 1)]
    assert asked.owner("nobody") is None
    assert asked.at_risk(5) == [("payments", 1, 0)]
    assert asked.identity("left") is None
    assert asked.count() == (2, 2, 3)


def test_an_identity_whose_names_were_never_observed_has_no_verdict(history: ClickHouseHistory) -> None:
    enlist(history, snapshot("new", "nowhere.example"))

    (row,) = identities.Identities(history.read).page(identities.Wanted(), "verdict", 1, 50).rows
    assert (row.verdict, row.hosts) == ("", 1)


def report(history: ClickHouseHistory, *made: Any) -> None:
    history.append({"findings": [rows.finding_row(one, "t") for one in made]})


def test_findings_are_the_newest_versions_worst_first(history: ClickHouseHistory) -> None:
    mild = finding("rrsig_expiring", id="a" * 32, severity="medium", detail="mild")
    worse = msgspec.structs.replace(finding("rrsig_expired", id="b" * 32, severity="critical"), opened_at=AT - HOUR)
    over = finding("rrsig_expired", id="c" * 32, status=FindingStatus.CLOSED)
    report(history, mild, worse, over)
    report(history, msgspec.structs.replace(mild, version=2, detail="milder", updated_at=AT + HOUR))
    asked = findings.Findings(history.read)

    assert [(one.id[0], one.version) for one in asked.page(findings.Wanted(), "severity", 1, 50).rows] == [
        ("b", 1),
        ("a", 2),
    ]
    assert asked.counts(findings.Wanted()) == {"critical": 1, "high": 0, "medium": 1, "low": 0, "info": 0}
    assert [one.id[0] for one in asked.page(findings.Wanted(state="closed"), "severity", 1, 50).rows] == ["c"]
    assert asked.page(findings.Wanted(state="all", text="MILDER"), "opened", 1, 50).total == 1
    assert asked.page(findings.Wanted(severity="critical"), "cause", 1, 50).total == 1
    assert [one.detail for one in asked.page(findings.Wanted(code="rrsig_expiring", at=AT), "cause", 1, 50).rows] == [
        "mild"
    ]


def test_an_owner_beyond_those_that_a_finding_lists_is_found_by_the_chain(world: ClickHouseHistory) -> None:
    huge = msgspec.structs.replace(finding("rrsig_expired", zone="bank.example."), identities=(), identity_count=60_000)
    report(world, huge)
    asked = findings.Findings(world.read)

    assert asked.page(findings.Wanted(owner="payments"), "severity", 1, 50).total == 1
    assert asked.page(findings.Wanted(identity="sa"), "severity", 1, 50).total == 1
    assert asked.page(findings.Wanted(owner="shop"), "severity", 1, 50).total == 0


def test_changes_of_a_day_say_what_was_before(world: ClickHouseHistory) -> None:
    asked = days.Days(world.read)

    page = asked.page(AT - 5 * HOUR, AT, "", 1, 50)
    assert [(one.name, one.before, one.verdict) for one in page.rows] == [
        ("api.bank.example.", "secure", "bogus"),
        ("gone.bank.example.", "", "secure"),
        ("old.shop.example.", "", "insecure"),
    ]
    assert asked.counts(AT - 5 * HOUR, AT) == {"weaker": 1, "stronger": 0, "data": 0, "first": 2}
    assert [(one.weaker, one.first) for one in asked.by_day(AT - 48 * HOUR, AT)] == [(1, 2), (0, 2)]


def test_verdicts_over_time_end_at_what_is_the_case_now(world: ClickHouseHistory) -> None:
    slots = days.Days(world.read).verdicts((1, 1, 0, 1), AT - 5 * HOUR, AT, HOUR)

    assert [slot.counts for slot in slots] == [(2, 0, 0, 0), (2, 0, 0, 0), (2, 1, 0, 0), (2, 1, 0, 0), (1, 1, 0, 1)]
    assert slots[-1].ends_at == AT


def test_zones_are_those_that_something_watched_lies_behind(world: ClickHouseHistory) -> None:
    asked = zones.Zones(world.read)

    found = {row.zone: (row.checks, row.key_tags, row.over) for row in asked.page(zones.Wanted(), "zone", 1, 50).rows}
    assert found["bank.example."] == (3, [1, 2], "bank.example. DNSKEY")
    assert found["."][0] == 4
    assert [row.zone for row in asked.page(zones.Wanted(text="BANK"), "ends", 1, 50).rows] == ["bank.example."]
    assert {end.zone for end in asked.ends(AT + timedelta(days=90))} == {".", "example.", "bank.example."}
    assert asked.ends(AT) == []
    assert [row.zone for row in asked.of_zone("bank.example.")] == ["bank.example."]


def test_a_zone_goes_on_from_before_the_span_that_is_asked_for(history: ClickHouseHistory) -> None:
    for day in range(5):
        store(history, (judgement(), AT + timedelta(days=day)))

    steps = zones.Zones(history.read).steps("bank.example.", "corp", AT + timedelta(days=2.5), AT + timedelta(days=3.5))

    assert [step.observed_at for step in steps] == [AT + timedelta(days=2), AT + timedelta(days=3)]


@pytest.mark.parametrize("year", [1901, 1969, 2038, 2199, 2299])
def test_a_signature_of_any_year_is_stored_and_shown(history: ClickHouseHistory, year: int) -> None:
    end = AT.replace(year=year)
    chain = (msgspec.structs.replace(link("bank.example."), inception_at=end - HOUR, expires_at=end),)
    store(history, (judgement(chain=chain), AT))

    (row,) = zones.Zones(history.read).of_zone("bank.example.")
    assert row.ends_at == end


def test_what_the_pages_read_is_filled_from_a_history_of_before(client: Any, migrated: Sequence[str]) -> None:
    from analyzer.history.migrations import load_migrations, statements_of
    from tests.support.databases import lay_out

    lay_out(client, [one for one in migrated if not one.startswith("CREATE MATERIALIZED")])
    history = ClickHouseHistory(client)
    store(history, (judgement(), AT), (judgement(verdict="bogus", code="rrsig_expired"), AT + HOUR))
    enlist(history, snapshot("sa", "api.bank.example"))
    assert checks.Checks(history.read).page(checks.Wanted(), "verdict", 1, 50).total == 0

    for statement in statements_of(load_migrations()[14][2]):
        if "INSERT INTO" in statement:
            client.command(statement)

    (row,) = checks.Checks(history.read).page(checks.Wanted(zone="bank.example."), "verdict", 1, 50).rows
    assert row.verdict == "bogus"
    assert len(days.Days(history.read).page(AT, AT + HOUR, "", 1, 50).rows) == 2
    assert zones.Zones(history.read).page(zones.Wanted(), "verdict", 1, 50).total == 3


def test_search_finds_names_zones_identities_owners_and_ids(world: ClickHouseHistory) -> None:
    report(world, finding("rrsig_expired", id="abcd" + "0" * 28))

    found = find_anything(world.read, "bank.example", is_id=False)
    assert found["zone"] == ["bank.example."]
    assert set(found["name"]) == {"api.bank.example.", "www.bank.example.", "gone.bank.example."}
    assert find_anything(world.read, "PAYM", is_id=False)["owner"] == ["payments"]
    assert find_anything(world.read, "ABCD", is_id=True)["finding"] == ["abcd" + "0" * 28]
    assert all(not hits for hits in find_anything(world.read, ODD, is_id=False).values())


def test_the_verdict_at_the_end_of_a_hole_is_the_last_before(history: ClickHouseHistory) -> None:
    store(history, (judgement(), utc(AT.timestamp() - 90 * 86_400)))
    store(history, (judgement(verdict="bogus", code="rrsig_expired"), AT))

    page = checks.Checks(history.read).intervals("api.bank.example.", None, 1, 50)

    assert [(one.verdict, one.last_seen_at) for one in page.rows] == [
        ("bogus", AT),
        (Verdict.SECURE, AT - timedelta(days=90)),
    ]
