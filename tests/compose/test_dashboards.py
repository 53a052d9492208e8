"""Dashboards: what is provisioned is what is built, and every query says something on the real engine.

They were not rendered: that takes a Grafana.
"""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import build
import msgspec
import pytest
import yaml

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from schemas.messages import Occasion
from tests.support.making import AT, judgement, observation, polls, snapshot, with_zones

GRAFANA = Path(build.__file__).parent
SOURCES = sorted((GRAFANA / "sources").glob("*.yaml"))
NAMES = [source.stem for source in SOURCES]
RANGE = (AT - timedelta(minutes=5), AT + timedelta(minutes=90))
AHEAD = (AT + timedelta(minutes=60), AT + timedelta(days=30))
VALUES = {"name": "api.bank.example.", "zone": "bank.example.", "identity": "sb-orders"}
STEP_MS = 300_000


def dashboard(name: str) -> dict[str, Any]:
    return dict(json.loads((GRAFANA / "dashboards" / f"{name}.json").read_text(encoding="utf-8")))


def expand(sql: str, span: tuple[datetime, datetime] = RANGE) -> str:
    """Return the query as the plugin sends it: its macros and the variables replaced."""
    start, end = (f"fromUnixTimestamp64Milli({int(at.timestamp() * 1000)})" for at in span)

    def macro(found: re.Match[str]) -> str:
        name, column = found["name"], found["column"]
        return {
            "timeFilter_ms": f"{column} >= {start} AND {column} <= {end}",
            "timeInterval_ms": f"toStartOfInterval(toDateTime64({column}, 3), INTERVAL {STEP_MS} millisecond)",
            "fromTime_ms": start,
            "toTime_ms": end,
            "interval_s": str(STEP_MS // 1000),
        }[name]

    sql = re.sub(r"\$__(?P<name>\w+)(?:\((?P<column>[a-z_]+)\))?", macro, sql)
    sql = re.sub(r"\$\{(\w+):sqlstring\}", lambda found: f"'{VALUES[found[1]]}'", sql)
    assert "$" not in sql
    return sql


@pytest.fixture
def rows(demo: Any) -> Callable[..., list[dict[str, Any]]]:
    """A function that asks the query of a panel: dashboard, title, then values of variables."""

    def ask(name: str, title: str, /, **values: str) -> list[dict[str, Any]]:
        (panel,) = [panel for panel in dashboard(name)["panels"] if panel["title"] == title]
        return query(demo, panel["targets"][0]["rawSql"], AHEAD if name == "calendar" else RANGE, values)

    return ask


def query(client: Any, sql: str, span: tuple[datetime, datetime], values: dict[str, str]) -> list[dict[str, Any]]:
    for variable, value in values.items():
        sql = sql.replace(f"${{{variable}:sqlstring}}", f"'{value}'")
    found = client.query(expand(sql, span), tz_mode="aware")
    return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_what_is_provisioned_is_what_is_built(source: Path) -> None:
    committed = (GRAFANA / "dashboards" / f"{source.stem}.json").read_text(encoding="utf-8")

    assert committed == build.text_of(source), "run: python compose/grafana/build.py"


def test_no_dashboard_is_without_a_source() -> None:
    assert sorted(path.stem for path in (GRAFANA / "dashboards").glob("*.json")) == NAMES


def test_names_are_unique_and_links_lead_somewhere() -> None:
    dashboards = [dashboard(name) for name in NAMES]
    uids = [one["uid"] for one in dashboards]
    variables = {one["uid"]: [variable["name"] for variable in one["templating"]["list"]] for one in dashboards}

    assert len(set(uids)) == len(uids)
    assert len({one["title"] for one in dashboards}) == len(uids)
    for title, url in build.LINKS.values():
        found = re.match(r"/d/([\w-]+)\?var-(\w+)=", url)
        assert title
        assert found is not None
        assert found[2] in variables[found[1]]


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_has_a_title_a_unit_a_place_and_a_provisioned_source(name: str) -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/anchorwatch.yaml").read_text(encoding="utf-8"))
    sources = {(source["type"], source["uid"]) for source in provisioned["datasources"]}
    panels = dashboard(name)["panels"]

    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
        for target in panel["targets"]:
            assert (target["datasource"]["type"], target["datasource"]["uid"]) in sources


@pytest.mark.parametrize("name", NAMES)
def test_every_query_returns_rows_with_the_columns_that_its_panel_shows(demo: Any, name: str) -> None:
    source = yaml.safe_load((GRAFANA / "sources" / f"{name}.yaml").read_text(encoding="utf-8"))
    span = AHEAD if name == "calendar" else RANGE

    for variable in source.get("variables", ()):
        listed = query(demo, variable["sql"], span, {})
        assert VALUES[variable["name"]] in [next(iter(row.values())) for row in listed]
    for panel in source["panels"]:
        if "sql" not in panel:
            continue
        found = query(demo, panel["sql"], span, {})
        assert found, panel["title"]
        shown = {*panel.get("colours", ()), *panel.get("coloured", ())}
        shown |= {column for part in ("links", "units", "widths") for column in panel.get(part, ())}
        assert shown <= found[0].keys(), panel["title"]
        if panel["type"] in ("timeseries", "state-timeline"):
            times = [row["time"] for row in found]
            assert times == sorted(times), panel["title"]
            assert all(isinstance(time, datetime) for time in times)
            assert any(isinstance(value, int | float) for key, value in found[0].items() if key != "time")


def test_the_overview_counts_each_endpoint_once(rows: Callable[..., Any]) -> None:
    (now,) = rows("overview", "Verdicts now")
    (severities,) = rows("overview", "Open findings now")
    over_time = rows("overview", "Verdicts over time")
    open_ones = {row["code"]: row for row in rows("overview", "Open findings")}

    assert now == {"secure": 1, "insecure": 1, "indeterminate": 0, "bogus": 1}
    assert sum(severities.values()) >= 1
    assert (over_time[0]["time"], over_time[0]["secure"], over_time[0]["insecure"]) == (AT, 2, 1)
    assert [row["bogus"] for row in over_time][-5:] == [1] * 5
    assert all(row["secure"] + row["insecure"] + row["bogus"] == 3 for row in over_time)
    assert len(over_time) == 13
    expired = open_ones["rrsig_expired"]
    assert (expired["cause_zone"], expired["confirmed"], expired["endpoints"], expired["identities"]) == (
        "bank.example.", "yes", 1, 2,
    )  # fmt: skip
    assert "answer_changed" in open_ones
    assert {(row["cause_zone"], row["verdict"], row["endpoints"]) for row in rows("overview", "Zones at fault")} == {
        ("bank.example.", "bogus", 1),
        ("shop.example.", "insecure", 1),
    }


def test_an_endpoint_shows_its_history_newest_first(rows: Callable[..., Any]) -> None:
    history = rows("endpoint", "History")
    chain = rows("endpoint", "Chain")

    assert [(row["verdict"], row["first_seen"], row["last_seen"]) for row in history] == [
        ("bogus", AT + timedelta(minutes=40), AT + timedelta(minutes=60)),
        ("secure", AT + timedelta(minutes=20), AT + timedelta(minutes=30)),
        ("secure", AT, AT + timedelta(minutes=10)),
    ]
    assert [row["zone"] for row in chain] == [".", "example.", "bank.example."]
    assert chain[2]["keys"] == "1/13 entry, 2/13, 3/13"
    assert chain[2]["ds"] == "1 13 2 AA"
    assert chain[2]["signed_by"] == "1"
    assert chain[2]["expires"] == AT + timedelta(days=9)
    assert [(row["part"], row["code"]) for row in rows("endpoint", "Reasons")] == [("reason", "rrsig_expired")]
    verdicts = [row["verdict"] for row in rows("endpoint", "Verdict")]
    assert verdicts == [0, 0, 0, 0, 3, 3]
    answers = {row["answer"] for row in rows("endpoint", "Answers", name="pay.bank.example.")}
    assert answers == {"pay.bank.example. A 192.0.2.1", "pay.bank.example. A 192.0.2.77"}


def test_a_zone_shows_its_keys_and_its_renewals(rows: Callable[..., Any]) -> None:
    keys = {row["tag"]: row for row in rows("zone", "Keys")}
    below = {row["name"]: row["verdict"] for row in rows("zone", "Names below")}

    assert (keys[1]["role"], keys[1]["signs_keys"], keys[2]["role"]) == ("entry point", "yes", "zone")
    assert (keys[3]["first_seen"], keys[3]["in_newest"]) == (AT + timedelta(minutes=20), "yes")
    assert keys[1]["first_seen"] == AT
    assert [row["ends"] for row in rows("zone", "Signatures on the keys")] == [
        AT + timedelta(days=9),
        AT + timedelta(hours=12),
    ]
    (renewal,) = rows("zone", "Renewals")  # once a zone, though two names below it show it; its keys changed meanwhile
    assert renewal["signed"] == "data"
    assert 0.3 < renewal["left"] < 0.34
    assert below == {"api.bank.example.": "bogus", "pay.bank.example.": "secure"}
    assert {row["verdict"] for row in rows("zone", "Verdict of the zone", zone="shop.example.")} == {1}


def test_an_identity_shows_what_reaches_it(rows: Callable[..., Any]) -> None:
    consumed = {row["name"]: row["verdict"] for row in rows("identity", "What it consumes")}
    threats = {row["code"]: row["hosts"] for row in rows("identity", "What threatens it")}
    radius = {row["code"]: row for row in rows("identity", "Blast radius of what is open")}
    by_identity = {row["identity"]: row["findings"] for row in rows("identity", "Identities by what is open")}

    assert consumed == {"api.bank.example.": "bogus", "pay.bank.example.": "secure", "www.shop.example.": "insecure"}
    assert threats["rrsig_expired"] == "api.bank.example"
    assert (radius["rrsig_expired"]["identities"], radius["rrsig_expired"]["critical"]) == (2, 2)
    assert by_identity["sb-orders"] >= by_identity["sa-settlement"] >= 1


def test_the_calendar_says_what_ends_next(rows: Callable[..., Any]) -> None:
    zones = {row["zone"]: row for row in rows("calendar", "Next ends of zones")}
    names = [(row["name"], row["ends"]) for row in rows("calendar", "Next ends of names")]

    assert next(iter(zones)) == "bank.example."
    assert zones["bank.example."]["left"] == 9 * 86_400 - 3600
    assert 0.3 < zones["bank.example."]["renewed_at"] < 0.34
    assert zones["example."]["renewed_at"] is None
    assert names == [
        ("pay.bank.example.", AT + timedelta(days=9)),
        ("www.shop.example.", AT + timedelta(days=13)),
    ]


def test_a_zone_that_stays_the_same_is_shown_long_after_it_was_stored(demo: Any) -> None:
    later = (AT + timedelta(days=2), AT + timedelta(days=3))
    panels = {panel["title"]: panel["targets"][0]["rawSql"] for panel in dashboard("zone")["panels"]}

    def ask(title: str) -> list[dict[str, Any]]:
        return query(demo, panels[title], later, {"zone": "bank.example."})

    assert [(row["time"], row["verdict"]) for row in ask("Verdict of the zone")] == [(later[0], 0)]
    assert {row["tag"] for row in ask("Keys") if row["in_newest"] == "yes"} == {1, 2, 3}
    assert [(row["ds"], row["first_seen"], row["gone_since"]) for row in ask("DS records")] == [
        ("1 13 2 AA", AT + timedelta(minutes=20), None)
    ]


def test_what_is_left_of_a_signature_falls_until_it_is_renewed(rows: Callable[..., Any]) -> None:
    points = [(row["time"], row["left"]) for row in rows("zone", "What is left of the signature on the keys")]
    renewed_at = AT + timedelta(minutes=20)

    assert points[:3] == [
        (AT, 12 * 3600),
        (renewed_at - timedelta(seconds=1), 12 * 3600 - 1199),
        (renewed_at, 9 * 86_400 - 1200),
    ]


def test_the_calendar_knows_answers_as_the_last_poll_saw_them_signed(
    history: ClickHouseHistory, client: Any, clock: Any
) -> None:
    sql = {panel["title"]: panel["targets"][0]["rawSql"] for panel in dashboard("calendar")["panels"]}
    analyzer = Analyzer(history, clock)
    span = (AT + timedelta(minutes=10), AT + timedelta(days=90))
    seen = observation(judgement("api.bank.example.", expires_at=AT + timedelta(days=5)), AT, Occasion.FIRST)
    assert seen.signed is not None
    resigned = msgspec.structs.replace(seen.signed, expires_at=AT + timedelta(days=8))
    later, much_later = (
        polls(msgspec.structs.replace(seen, signed=signed), at=AT + timedelta(minutes=minute))
        for minute, signed in (
            (1, resigned),
            (2, msgspec.structs.replace(resigned, expires_at=AT + timedelta(days=80))),
        )
    )

    def ends() -> list[Any]:
        found = query(client, sql["Next ends of names"], span, {})
        return [(row["ends"], row["zone"], row["answer_until"]) for row in found]

    asyncio.run(analyzer.handle(with_zones([snapshot("sa", "api.bank.example"), seen])))
    assert ends() == [(AT + timedelta(days=5), "", AT + timedelta(days=5))]
    asyncio.run(analyzer.handle([later]))
    assert ends() == [(AT + timedelta(days=8), "", AT + timedelta(days=8))]
    asyncio.run(analyzer.handle([much_later]))
    assert ends()[0][0] == AT + timedelta(days=60), "now the keys of a zone above end first"
    assert ends()[0][2] == AT + timedelta(days=80)
    client.command("OPTIMIZE TABLE verdicts FINAL")
    assert ends()[0][2] == AT + timedelta(days=80)
    assert [row["endpoints"] for row in query(client, sql["Verdicts that end"], span, {})] == [1]


def test_the_calendar_says_over_what_a_zones_signature_ends(rows: Callable[..., Any]) -> None:
    zones = {row["zone"]: (row["over"], row["names"]) for row in rows("calendar", "Next ends of zones")}

    assert zones == {
        ".": (". DNSKEY", 3),
        "example.": ("example. DNSKEY", 3),
        "bank.example.": ("bank.example. DNSKEY", 2),
    }


def test_a_name_with_a_quote_in_it_is_only_a_name(rows: Callable[..., Any]) -> None:
    assert rows("endpoint", "History", name="o''brien.example.") == []
