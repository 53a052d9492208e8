"""The console over a real history and a real ledger: every page, hostile data, odd addresses."""

import asyncio
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import clickhouse_connect
import pytest

from alerts.runbooks.library import LIBRARY
from analyzer.history.clickhouse import ClickHouseHistory
from anchorwatch.judging import OnDemand, Settings
from anchorwatch.web import pages
from anchorwatch.web.api import make_app
from anchorwatch.web.console.cache import Cache
from anchorwatch.web.console.surveys import judge_resolver
from collector.anchor_file import read_anchor_file
from collector.config import VantagePoint
from collector.dnssec.policy import Policy
from collector.resolvers.address import parse_address
from schemas.codes import Code
from tests.anchorwatch.test_doors import ask
from tests.support.console import (
    EVIDENCE,
    FINDING,
    HOSTILE,
    HOUR,
    HUGE,
    IDENTITY,
    INCIDENT,
    LONG,
    NOW,
    ODD,
    OWNER,
    fill_history,
    make_ledger,
    make_parts,
)
from tests.support.databases import lay_out, new_database
from tests.support.running import Lab

AT = "TEN-HOURS-AGO"
"""Stands for an instant that every process that collects these tests would take at another moment."""
PATHS = (
    "/",
    f"/?at={AT}",
    "/checks",
    f"/checks?q={quote('<b>')}&sort=name&rows=25",
    f"/checks?at={AT}",
    f"/checks?owner={quote(OWNER.replace(chr(27), '').replace(chr(0x202E), ''))}",
    "/endpoints/api.bank.example.",
    "/endpoints/mail.dark.example.",
    f"/endpoints/{quote(ODD)}",
    f"/endpoints/{LONG}",
    f"/endpoints/api.bank.example.?at={AT}",
    "/endpoints/never.example.",
    "/findings",
    "/findings?state=all&kind=drift&sort=affected",
    f"/findings/{FINDING}",
    f"/findings/{HUGE[:8]}",
    "/incidents",
    "/incidents?state=all&q=bank",
    f"/incidents/{INCIDENT}",
    f"/evidence/{EVIDENCE}",
    "/zones",
    "/zones/bank.example.",
    "/zones/bank.example.?days=365",
    "/zones/.",
    "/identities",
    "/identities?verdict=insecure",
    f"/identities/{quote(IDENTITY)}",
    "/identities/bot",
    "/owners",
    f"/owners/{quote(OWNER)}",
    "/resolvers",
    "/calendar",
    "/changes",
    "/changes?kind=weaker",
    "/inventory",
    "/notifications",
    "/notifications?status=withheld",
    "/silences",
    "/search",
    "/search?q=bank",
    f"/search?q={quote('<script>')}",
    "/explain",
    "/runbooks/rrsig_expired",
)
TAGS = {
    *("html", "head", "meta", "title", "link", "script", "body", "a", "header", "img", "nav", "div", "form", "input"),
    *("span", "main", "dialog", "h1", "h2", "h3", "p", "kbd", "section", "svg", "g", "rect", "text", "line", "label"),
    *("button", "table", "thead", "tbody", "tr", "th", "td", "b", "small", "code", "pre", "br", "dl", "dt", "dd"),
    *("details", "summary", "select", "option", "datalist", "ol", "ul", "li", "time", "textarea", "i"),
}


class Seen(HTMLParser):
    """What a browser would make of a page: its tags, its attributes, its text."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        return [str(attrs[key]) for _, attrs in self.tags for key in ("href", "src", "action") if attrs.get(key)]


@pytest.fixture(scope="module")
def kept(engine: str, admin: Any, migrated: list[str]) -> Iterator[ClickHouseHistory]:
    """One history for all tests here: they only read."""
    database = new_database()
    admin.command(f"CREATE DATABASE {database}")
    client = clickhouse_connect.get_client(interface="chdb", path=engine, database=database)
    lay_out(client, migrated)
    history = ClickHouseHistory(client)
    history.read_apart(clickhouse_connect.get_client(interface="chdb", path=engine, database=database))
    fill_history(history)
    yield history
    history.close()
    admin.command(f"DROP DATABASE {database}")


@pytest.fixture(scope="module")
def app(kept: ClickHouseHistory) -> Any:
    return make_app(make_parts(kept, make_ledger()))


def get(app: Any, path: str) -> str:
    path, _, query = path.replace(AT, quote((NOW - 10 * HOUR).isoformat())).partition("?")
    answer = ask(app, f"{path}{'?' if query else ''}{query}", accept="text/html")
    assert answer.status == 200, (path, answer)
    return answer.body.decode()


def decoded(path: str) -> str:
    """As a server hands a path on: its percent signs resolved, the query's not."""
    from urllib.parse import unquote

    where, question, query = path.partition("?")
    return f"{unquote(where)}{question}{query}"


@pytest.mark.parametrize("path", PATHS)
def test_markup_and_bidi_controls_reach_no_page(app: Any, path: str) -> None:
    seen = Seen(get(app, decoded(path)))

    assert {tag for tag, _ in seen.tags} <= TAGS
    assert [attrs for tag, attrs in seen.tags if tag == "script"] == [{"src": "/static/console.js", "defer": None}]
    assert [attrs["src"] for tag, attrs in seen.tags if tag == "img"] == ["/static/favicon.svg"]
    for tag, attrs in seen.tags:
        assert not [key for key in attrs if key.startswith("on") or key == "style"], (tag, attrs)
        for value in attrs.values():
            assert not re.search("[\x00-\x08\x1b\u200b-\u200f\u2028-\u202e\u2066-\u2069]", value or ""), (tag, attrs)
    assert not re.search("[\x00-\x08\x1b\u200b-\u200f\u2028-\u202e\u2066-\u2069]", seen.text)


@pytest.mark.parametrize("path", PATHS)
def test_pages_need_nothing_from_elsewhere_and_every_link_leads_to_a_page(app: Any, path: str) -> None:
    for link in Seen(get(app, decoded(path))).links:
        assert link.startswith(("/", "#")), link
        assert not link.startswith("//"), link


@pytest.mark.slow
def test_every_link_of_the_main_pages_is_answered(app: Any) -> None:
    followed: set[str] = set()
    gone = ("/owners/team-", "/identities/sa-")  # the finding names them, the inventory has them no more
    for path in (
        "/",
        "/findings",
        "/checks",
        "/zones",
        "/identities",
        f"/findings/{FINDING}",
        f"/incidents/{INCIDENT}",
    ):
        for link in Seen(get(app, path)).links:
            if link.startswith("/") and link not in followed and not link.startswith(("/static", "/api/", *gone)):
                followed.add(link)
                answer = ask(app, decoded(link), accept="text/html")
                assert answer.status in (200, 303), (path, link, answer.body[-400:])
    assert len(followed) > 40


def words_of(app: Any, path: str) -> str:
    return re.sub(r"\s+", " ", Seen(get(app, path)).text)


class TestWhatPagesSay:
    def test_the_overview_has_the_worst_first_with_true_counts(self, app: Any) -> None:
        words = words_of(app, "/")

        assert "1 bogus" in words
        assert words.index("critical") < words.index("medium")
        assert "Open incidents 2" in words
        assert "1 critical, 1 high, 1 medium" in words

    def test_who_was_told_and_why_not_is_said(self, app: Any) -> None:
        words = words_of(app, "/")

        assert "withheld" in words
        assert "failed" in words

    def test_the_chain_marks_the_weak_link_and_has_keys_and_ds(self, app: Any) -> None:
        page = get(app, "/endpoints/api.bank.example.")

        assert "◄ weak link · bogus" in page
        assert "✎ KSK 1" in page
        assert "DS 1 /2" in page
        assert "revoked 3" in page
        assert "The weak link is bank.example.: rrsig_expired." in page

    def test_a_rollover_is_drawn(self, app: Any) -> None:
        page = get(app, "/zones/bank.example.")

        assert "KSK 7 ECDSA P-256" in page
        assert "KSK 1 ECDSA P-256" in page
        assert page.count('class="ds"') >= 2

    def test_sixty_thousand_identities_are_counted_and_not_shown(self, app: Any) -> None:
        page = get(app, f"/findings/{HUGE}")

        assert "60\u202f000 identities" in page
        assert "The 50 most critical of 60\u202f000." in page
        assert len(page) < 60_000

    def test_versions_are_folded(self, app: Any) -> None:
        assert "Its life: 3 versions" in get(app, f"/findings/{FINDING}")

    def test_evidence_is_decoded_and_what_is_no_message_is_said_to_be_none(self, app: Any) -> None:
        page = get(app, f"/evidence/{EVIDENCE}")

        assert "TXT &#34;&lt;script&gt;alert(3)&lt;/script&gt;&#34;" in page
        assert page.count("no DNS message") == 2
        assert f'href="/api/v1/evidence/{EVIDENCE}" download=' in page

    def test_a_resolver_that_refuses_what_is_bogus_validates(self, app: Any) -> None:
        assert "validates" in words_of(app, "/resolvers")

    @pytest.mark.parametrize(
        ("cells", "kind", "word"),
        [
            ({("secure", "AD"): 50, ("bogus", "SERVFAIL"): 1}, "secure", "validates"),
            ({("bogus", "SERVFAIL"): 2}, "secure", "validates"),
            ({("secure", "NOERROR"): 50, ("bogus", "SERVFAIL"): 1}, "insecure", "marks none of 50"),
            ({("secure", "AD"): 49, ("secure", "NOERROR"): 1, ("bogus", "SERVFAIL"): 9}, "insecure", "1 of 50 without"),
            ({("secure", "NOERROR"): 50}, "bogus", "does not validate"),
            ({("secure", "AD"): 50, ("bogus", "NOERROR"): 1}, "bogus", "lets 1 bogus"),
            ({("insecure", "NOERROR"): 5}, "indeterminate", "was not asked"),
        ],
    )
    def test_a_resolver_is_called_what_it_was_seen_to_be(
        self, cells: dict[tuple[str, str], int], kind: str, word: str
    ) -> None:
        found = judge_resolver("corp", cells)

        assert found["kind"] == kind
        assert word in found["word"]

    def test_an_owner_with_something_open_is_not_shown_as_calm(self, app: Any) -> None:
        assert re.search(r"payments.*critical 1\d*", words_of(app, "/owners"))
        assert "shop–" in words_of(app, "/owners")

    def test_the_past_is_said_to_be_the_past(self, app: Any) -> None:
        assert "As it was at" in get(app, f"/?at={AT}")
        assert 'data-live="no"' in get(app, f"/?at={AT}")
        assert "secure" in words_of(app, f"/endpoints/api.bank.example.?at={AT}")

    def test_the_inventory_says_what_shrank_and_what_is_not_watched(self, app: Any) -> None:
        words = words_of(app, "/inventory")

        assert "a source lost rows" in words
        assert "never.example." in words

    def test_an_identitys_page_says_where_an_endpoint_was_found(self, app: Any) -> None:
        assert "in ServiceEntry prod/partner" in words_of(app, "/identities/bot")

    def test_an_owners_page_says_what_is_bad_of_theirs(self, app: Any) -> None:
        page = get(app, f"/owners/{OWNER}")

        assert '<b class="bogus">1</b> on bogus names' in page
        assert INCIDENT in page


class TestAddresses:
    @pytest.mark.parametrize(
        "path",
        [
            "/checks?verdict=good",
            "/checks?sort=x",
            "/checks?page=0",
            "/checks?page=x",
            "/checks?rows=7",
            "/checks?colour=red",
            "/checks?verdict=bogus&verdict=secure",
            "/checks?at=yesterday",
            "/?at=2999-01-01T00:00",
            "/?every=x",
            "/findings?state=half",
            "/findings?name=a..b",
            "/changes?day=tomorrow",
            "/zones/bank.example.?days=0",
            "/owners?q=" + "x" * 300,
            "/search?q=%E2%80%AE",
        ],
    )
    def test_what_does_not_fit_is_told_to_people_and_to_scripts(self, app: Any, path: str) -> None:
        shown, told = ask(app, path, accept="text/html"), ask(app, path)

        assert (shown.status, told.status) == (400, 400)
        assert b"Back to the overview" in shown.body
        assert told.headers["content-type"] == "application/problem+json"
        assert json.loads(told.body)["error"]

    @pytest.mark.parametrize(
        "path",
        ["/endpoints/a..b", "/endpoints/nobody.example", "/zones/nowhere.example.", "/identities/nobody",
         "/owners/nobody", "/findings/ffff", "/incidents/ffff", "/evidence/ffff", "/runbooks/none"],
    )  # fmt: skip
    def test_what_is_not_there_is_said_not_to_be(self, app: Any, path: str) -> None:
        answer = ask(app, path, accept="text/html")

        assert answer.status == 404
        assert b"Not here" in answer.body

    def test_a_stale_page_number_shows_the_last_page(self, app: Any) -> None:
        assert "1–6 of 6" in get(app, "/checks?page=900&rows=25") or "1–5 of 5" in get(app, "/checks?page=900&rows=25")

    def test_one_hit_is_gone_to_at_once(self, app: Any) -> None:
        answer = ask(app, "/search?q=api.bank.example", accept="text/html")
        assert (answer.status, answer.headers["location"]) == (303, "/endpoints/api.bank.example.")
        answer = ask(app, f"/search?q={FINDING[:8]}", accept="text/html")
        assert answer.headers["location"] == f"/findings/{FINDING}"

    def test_the_filter_that_the_overview_had_leads_to_the_list(self, app: Any) -> None:
        assert ask(app, "/?q=payments", accept="text/html").headers["location"] == "/checks?q=payments"


class TestParts:
    def test_without_a_ledger_the_rest_is_shown(self, kept: ClickHouseHistory) -> None:
        app = make_app(make_parts(kept, None))

        assert "ask that process" in get(app, "/")
        assert ask(app, "/incidents", accept="text/html").status == 404
        assert get(app, f"/findings/{FINDING}")

    def test_without_a_history_the_incidents_are_shown(self) -> None:
        app = make_app(make_parts(None, make_ledger()))  # type: ignore[arg-type]

        assert INCIDENT in get(app, "/")
        assert INCIDENT in get(app, "/incidents")
        assert ask(app, "/checks", accept="text/html").status == 404

    def test_an_empty_history_has_calm_pages(self, history: ClickHouseHistory) -> None:
        from pathlib import Path

        from alerts.ledger.sqlite import SqliteLedger

        app = make_app(make_parts(history, SqliteLedger(Path(":memory:"))))

        for path in ("/", "/checks", "/findings", "/incidents", "/zones", "/identities", "/owners", "/resolvers"):
            assert get(app, path)
        for path in ("/calendar", "/changes", "/inventory", "/notifications", "/silences", "/search?q=bank"):
            assert get(app, path)

    def test_other_pages_escape_what_they_are_given(self) -> None:
        for response, scripts in (
            (pages.missing(HOSTILE), 1),
            (pages.refused(HOSTILE, "/x", 409), 1),
            (pages.login("/", HOSTILE), 0),
            (pages.runbook(HOSTILE, LIBRARY[Code.RRSIG_EXPIRED]), 1),
        ):
            seen = Seen(bytes(response.body).decode())
            assert {tag for tag, _ in seen.tags} <= TAGS
            assert len([tag for tag, _ in seen.tags if tag == "script"]) == scripts


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def explaining(kept: ClickHouseHistory, lab: Lab) -> Any:
    """A console whose only vantage is the lab's resolver; nobody has asked it yet."""
    settings = Settings(read_anchor_file(lab.anchors), Policy())
    on_demand = OnDemand([VantagePoint(name="lab", address=parse_address(lab.url))], settings)
    return make_app(make_parts(kept, make_ledger(), explain=on_demand.judge, vantages=on_demand.vantages))


class TestExplain:
    FORM: ClassVar[dict[str, str]] = {"content_type": "application/x-www-form-urlencoded", "accept": "text/html"}

    def explain(self, app: Any, name: str, **more: str) -> Any:
        fields = {"name": name, "type": "A", "vantage": "lab", **more}
        return ask(app, "/explain", "POST", urlencode(fields).encode(), **self.FORM)

    def test_a_name_is_validated_and_drawn(self, explaining: Any) -> None:
        words = re.sub(r"\s+", " ", self.explain(explaining, "api.bank.example").body.decode())

        assert "192.0.2.10" in words
        assert "✎ KSK" in words
        assert 'is <span class="secure">secure</span>' in words

    @pytest.mark.parametrize(
        ("more", "status"),
        [({"name": "a..b"}, 400), ({"type": "NONSENSE"}, 400), ({"vantage": "nowhere"}, 400), ({"name": HOSTILE}, 400)],
    )
    def test_what_can_not_be_asked_is_told(self, explaining: Any, more: dict[str, str], status: int) -> None:
        answer = self.explain(explaining, **{"name": "api.bank.example", **more})

        assert answer.status == status
        assert b"<script>alert" not in answer.body

    def test_it_has_a_rate(self, explaining: Any) -> None:
        statuses = [self.explain(explaining, "soap.legacy.example").status for _ in range(12)]

        assert 429 in statuses
        assert set(statuses) <= {200, 429}

    def test_reading_the_form_asks_nobody(self, explaining: Any) -> None:
        assert "A name" not in get(explaining, "/explain?name=api.bank.example&type=AAAA")
        assert 'value="AAAA"' in get(explaining, "/explain?name=api.bank.example&type=AAAA")


class TestCache:
    def test_many_who_ask_at_once_and_soon_after_are_answered_by_one_question(self) -> None:
        clock, asked = [0.0], [0]
        cache = Cache(kept_s=1.5, clock=lambda: clock[0])

        async def answer() -> int:
            asked[0] += 1
            await asyncio.sleep(0)
            return asked[0]

        async def story() -> list[int]:
            found = list(await asyncio.gather(*(cache.ask("q", answer) for _ in range(200))))
            clock[0] = 1.4
            found.append(await cache.ask("q", answer))
            clock[0] = 1.6
            found.append(await cache.ask("q", answer))
            return found

        assert asyncio.run(story()) == [1] * 201 + [2]

    def test_a_dear_answer_is_shown_a_little_old_while_it_is_asked_anew(self) -> None:
        clock, asked = [0.0], [0]
        cache = Cache(clock=lambda: clock[0])

        async def answer() -> int:
            asked[0] += 1
            return asked[0]

        async def story() -> list[int]:
            found = []
            for now in (0.0, 9.0, 11.0, 12.0, 100.0):
                clock[0] = now
                found.append(await cache.ask("q", answer, 10.0, 60.0))
                await asyncio.sleep(0)
            return found

        assert asyncio.run(story()) == [1, 1, 1, 2, 3]

    def test_what_fails_is_asked_again_and_no_more_is_kept_than_may_be(self) -> None:
        cache = Cache(most=3)

        async def fail() -> int:
            raise ValueError("away")

        async def one() -> int:
            return 1

        async def story() -> int:
            with pytest.raises(ValueError, match="away"):
                await cache.ask("q", fail)
            for number in range(10):
                await cache.ask(number, one)
            return await cache.ask("q", one)

        assert asyncio.run(story()) == 1
        assert len(cache._answers) <= 3

    def test_a_tab_that_goes_away_takes_no_answer_from_the_others(self) -> None:
        cache = Cache()

        async def story() -> int:
            gate = asyncio.Event()

            async def slow() -> int:
                await gate.wait()
                return 7

            first = asyncio.ensure_future(cache.ask("q", slow))
            second = asyncio.ensure_future(cache.ask("q", slow))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.sleep(0)
            gate.set()
            return await second

        assert asyncio.run(story()) == 7
