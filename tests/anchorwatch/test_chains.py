"""Chains over HTTP, put together of what the analyzer knows of endpoints and of zones."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from schemas.judgement import Verdict
from schemas.messages import Act, Message, Observation, Occasion, ServerStatus
from tests.anchorwatch.test_doors import app_of, ask
from tests.support.clock import ManualClock
from tests.support.making import AT, judgement, key, link, observation, polls, snapshot, with_zones
from tests.support.sweeps import HOUR, own, sweep

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
API, SHOP = "api.bank.example.", "www.shop.example."


class Told:
    """An analyzer that was told something, and its API."""

    def __init__(self, history: ClickHouseHistory, clock: ManualClock) -> None:
        self.history, self.clock = history, clock
        self.analyzer = Analyzer(history, clock)

    def tell(self, *messages: Message, at: datetime = AT) -> None:
        self.clock.seconds = at.timestamp()
        asyncio.run(self.analyzer.handle(with_zones(messages)))

    def ask(self, path: str) -> bytes:
        answer = ask(app_of(analyzer=self.analyzer, history=self.history), path)
        assert answer.status == 200, answer
        return answer.body

    def get(self, path: str) -> Any:
        return json.loads(self.ask(f"/api/v1/{path}"))

    def ends_of(self, name: str = API) -> Any:
        (view,) = self.get(f"endpoints?name={name}")
        return view["expires_at"] and datetime.fromisoformat(view["expires_at"])


@pytest.fixture
def told(history: ClickHouseHistory, clock: ManualClock) -> Told:
    told = Told(history, clock)
    told.tell(snapshot("sa", "api.bank.example", "www.shop.example"))
    return told


def seen(at: datetime = AT, *, answer: datetime = AT + 13 * DAY, bank: Any = None, **more: Any) -> Observation:
    chain = (link("."), link("example."), bank or link("bank.example."))
    return observation(judgement(API, chain=chain, expires_at=answer, **more), at, Occasion.FIRST)


def bank_until(ends: datetime, *keys: Any) -> Any:
    return msgspec.structs.replace(link("bank.example.", keys=keys), expires_at=ends)


def unsigned() -> Observation:
    chain = (link("."), link("example."), link("shop.example.", verdict=Verdict.INSECURE))
    judged = judgement(SHOP, verdict="insecure", code="unsigned_delegation", zone="shop.example.", chain=chain)
    return observation(judged, AT, Occasion.FIRST)


@pytest.mark.parametrize(
    ("answer", "bank", "expected"),
    [(13, 9, 9), (3, 9, 3), (90, 90, 60)],
    ids=["a zone's keys", "the answer's own", "those of a zone above"],
)
def test_an_endpoint_holds_until_the_first_signature_ends(told: Told, answer: int, bank: int, expected: int) -> None:
    told.tell(seen(answer=AT + answer * DAY, bank=bank_until(AT + bank * DAY)))

    assert told.ends_of() == AT + expected * DAY


def test_a_zone_that_renews_is_seen_at_every_name_below_it(told: Told) -> None:
    told.tell(seen(bank=bank_until(AT + DAY)))
    renewed = seen(AT + MINUTE, bank=bank_until(AT + 12 * DAY))

    told.tell(*[one for one in with_zones([renewed]) if one is not renewed], at=AT + MINUTE)

    assert told.ends_of() == AT + 12 * DAY


def test_a_poll_says_until_when_the_answer_is_signed_now(told: Told) -> None:
    first = seen(answer=AT + DAY)
    told.tell(first)
    assert first.signed is not None
    later = msgspec.structs.replace(first.signed, expires_at=AT + 5 * DAY)

    told.tell(polls(msgspec.structs.replace(first, signed=later), at=AT + MINUTE), at=AT + MINUTE)

    assert told.ends_of() == AT + 5 * DAY
    (interval,) = told.get(f"history?name={API}")
    assert datetime.fromisoformat(interval["signed_until"]) == AT + 5 * DAY


def test_a_bogus_endpoint_rests_on_no_signature(told: Told) -> None:
    told.tell(seen(verdict="bogus", code="rrsig_expired"))

    assert told.ends_of() is None


def test_an_endpoint_names_its_zones(told: Told) -> None:
    told.tell(seen())

    assert told.get("endpoints")[0]["chain"] == [".", "example.", "bank.example."]


class TestZones:
    def test_each_is_shown_once_with_keys_and_signatures(self, told: Told) -> None:
        told.tell(seen(), unsigned())

        views = told.get("zones")
        bank = next(view for view in views if view["zone"] == "bank.example.")

        assert [(view["verdict"], view["zone"]) for view in views] == [
            ("insecure", "shop.example."),
            ("secure", "."),
            ("secure", "bank.example."),
            ("secure", "example."),
        ]
        assert (bank["vantage"], bank["parent"], bank["ds"]) == ("corp", "example.", ["1 13 2 AA"])
        assert [(one["tag"], one["algorithm"], one["flags"]) for one in bank["keys"]] == [(1, 13, 257), (2, 13, 256)]
        assert [window["rrset"] for window in bank["windows"]] == ["bank.example. DNSKEY"]
        assert datetime.fromisoformat(bank["expires_at"]) == AT + 60 * DAY
        assert datetime.fromisoformat(bank["since_at"]) == AT
        assert [reason["code"] for reason in views[0]["reasons"]] == ["unsigned_delegation"]

    @pytest.mark.parametrize(
        ("query", "count"),
        [("zone=bank.example", 2), ("zone=BANK.example.&vantage=dmz", 1), ("vantage=corp", 3), ("limit=2", 2),
         ("zone=none.example", 0)],
    )  # fmt: skip
    def test_they_are_filtered(self, told: Told, query: str, count: int) -> None:
        told.tell(seen(), seen(AT + MINUTE, vantage="dmz"))

        assert len(told.get(f"zones?{query}")) == count

    @pytest.mark.parametrize("query", ["zone=a..b", "limit=0", "name=bank.example", "zone=a&zone=b"])
    def test_odd_questions_are_refused(self, told: Told, query: str) -> None:
        answer = ask(app_of(analyzer=told.analyzer, history=told.history), f"/api/v1/zones?{query}")

        assert answer.status == 400
        assert query.partition("=")[0].encode() in answer.body

    def test_its_evidence_is_there(self, told: Told) -> None:
        told.tell(seen())

        (bank,) = told.get("zones?zone=bank.example.")

        assert told.get(f"evidence/{bank['evidence']}")["name"] == "bank.example."


class TestSweeps:
    """``/sweeps``: the newest of each zone, or all of one."""

    def told(self, told: Told) -> Told:
        told.tell(seen())
        for hour in (1, 2):
            bad = own(2, status=ServerStatus.SILENT, detail="timeout")
            told.tell(sweep(bad, at=AT + hour * HOUR), at=AT + hour * HOUR)
        told.tell(sweep(zone="other.test.", at=AT + HOUR), at=AT + 3 * HOUR)
        return told

    @pytest.mark.parametrize(
        ("query", "zones"),
        [("", ["bank.example.", "other.test."]), ("zone=BANK.example", ["bank.example."] * 2),
         ("zone=bank.example.&limit=1", ["bank.example."]), ("zone=none.example", [])],
    )  # fmt: skip
    def test_they_are_listed_newest_first(self, told: Told, query: str, zones: list[str]) -> None:
        found = self.told(told).get(f"sweeps?{query}")

        assert [one["zone"] for one in found] == zones
        assert sorted((one["swept_at"] for one in found), reverse=True) == [one["swept_at"] for one in found]

    def test_each_says_what_each_server_said(self, told: Told) -> None:
        (newest, _) = self.told(told).get("sweeps?zone=bank.example.")

        said = {one["server"]: (one["status"], one["detail"], one["serial"]) for one in newest["servers"]}
        assert said["192.0.2.2"] == ("silent", "timeout", None)
        assert said["192.0.2.3"] == ("answers", "", 7)

    def test_a_finding_names_its_servers(self, told: Told) -> None:
        (found,) = self.told(told).get("findings?code=auth_server_unreachable")

        assert found["servers"] == ["192.0.2.2"]
        assert b"<dt>Servers</dt><dd>192.0.2.2</dd>" in told.ask(f"/findings/{found['id']}")
        assert b"192.0.2.2" in told.ask("/")

    @pytest.mark.parametrize("query", ["zone=a..b", "limit=0", "colour=x"])
    def test_odd_questions_are_refused(self, told: Told, query: str) -> None:
        assert ask(app_of(analyzer=told.analyzer, history=told.history), f"/api/v1/sweeps?{query}").status == 400


class TestHistory:
    def test_the_chain_is_shown_as_it_was_seen_then(self, told: Told) -> None:
        old, new = bank_until(AT + DAY, key(1, entry=True)), bank_until(AT + 9 * DAY, key(1, entry=True), key(3))
        told.tell(seen(bank=old))
        told.tell(seen(AT + 10 * MINUTE, bank=new), at=AT + 10 * MINUTE)

        def chain_at(at: datetime) -> Any:
            (interval,) = told.get(f"history?name={API}&at={quote(at.isoformat())}")
            return [(one["zone"], [k["tag"] for k in one["keys"]], one["expires_at"]) for one in interval["chain"]]

        assert chain_at(AT + 5 * MINUTE)[2] == ("bank.example.", [1], "2026-11-25T12:00:00Z")
        assert chain_at(AT + 15 * MINUTE)[2] == ("bank.example.", [1, 3], "2026-12-03T12:00:00Z")
        assert [zone for zone, _, _ in chain_at(AT)] == [".", "example.", "bank.example."]
        assert told.get(f"history?name={API}&at={quote((AT - MINUTE).isoformat())}") == []
        assert "chain" not in told.get(f"history?name={API}")[0]

    def test_a_zone_whose_observation_is_lost_is_still_named(self, told: Told) -> None:
        asyncio.run(told.analyzer.handle([seen()]))

        (interval,) = told.get(f"history?name={API}&at={quote((AT + MINUTE).isoformat())}")

        assert [(one["zone"], one["verdict"], one["since_at"]) for one in interval["chain"]] == [
            (".", "secure", None), ("example.", "secure", None), ("bank.example.", "secure", None),
        ]  # fmt: skip


def test_acts_are_listed_newest_first(told: Told) -> None:
    acts = [
        Act(id=f"a{number}", kind="accept_inventory", by="ops", at=AT + number * MINUTE, why="agreed", subject="i.yaml")
        for number in range(3)
    ]
    told.tell(*acts)

    assert [act["id"] for act in told.get("acts")] == ["a2", "a1", "a0"]
    assert [act["id"] for act in told.get("acts?limit=1")] == ["a2"]
    assert (told.get("acts")[0]["by"], told.get("acts")[0]["why"]) == ("ops", "agreed")


def page_of(told: Told, name: str) -> str:
    return told.ask(f"/endpoints/{name}").decode()


@pytest.mark.parametrize(
    "expected",
    [
        "A through corp",
        "1 13 2 AA",
        "KSK 1 ECDSA P-256",
        "ZSK 2 ECDSA P-256",
        "2026-12-03 12:00:00",
        "bank.example. DNSKEY by bank.example.",
        "<title>KSK 1, ECDSA P-256, signs the key set</title>",
        "DS 1 /2",
    ],
)
def test_the_page_of_an_endpoint_shows_the_whole_chain(told: Told, expected: str) -> None:
    told.tell(seen(bank=bank_until(AT + 9 * DAY)))

    assert expected in page_of(told, API)


def test_the_page_says_why_a_zone_is_not_secure(told: Told) -> None:
    told.tell(unsigned())

    assert "because of unsigned_delegation" in page_of(told, SHOP)


def test_vantages_that_see_different_zones_have_chains_of_their_own(told: Told) -> None:
    told.tell(seen(), seen(AT + MINUTE, vantage="dmz"))

    for vantage in ("corp", "dmz"):
        assert f"A through {vantage}<" in page_of(told, f"{API}?vantage={vantage}")
        assert f"A · {vantage} " in page_of(told, API)
