"""The console in a real browser: no fault of accessibility, sizes, keys, freshness, and questions in two clicks."""

import re
from collections.abc import Iterator

import pytest

from analyzer.history.clickhouse import ClickHouseHistory
from tests.anchorwatch.test_console import kept
from tests.support.browser import AXE, LACKING, LACKING_AXE, PROGRAM, Browser, browsing
from tests.support.console import EVIDENCE, FINDING, INCIDENT, Served, make_ledger, make_parts, serving

__all__ = ["kept"]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PROGRAM, reason=LACKING)]
PATHS = (
    "/",
    "/checks",
    "/endpoints/api.bank.example.",
    "/findings",
    f"/findings/{FINDING}",
    "/incidents",
    f"/incidents/{INCIDENT}",
    f"/evidence/{EVIDENCE}",
    "/zones",
    "/zones/bank.example.",
    "/identities",
    "/identities/bot",
    "/owners",
    "/owners/shop",
    "/resolvers",
    "/calendar",
    "/changes",
    "/inventory",
    "/notifications",
    "/silences",
    "/search?q=bank",
    "/explain",
    "/runbooks/rrsig_expired",
    "/checks?verdict=good",
)
SIZES = ((390, 844, True), (1440, 900, False), (2560, 1440, True))


@pytest.fixture(scope="module")
def site(kept: ClickHouseHistory) -> Iterator[str]:
    with serving(make_parts(kept, make_ledger())) as served:
        yield served.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def wide(browser: Browser) -> Browser:
    browser.show(1440, 900)
    return browser


@pytest.mark.skipif(not AXE.exists(), reason=LACKING_AXE)
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_and_nothing_overflows(browser: Browser, site: str, path: str) -> None:
    for width, height, dark in SIZES:
        browser.show(width, height, dark=dark)
        browser.go(site + path)

        assert browser.axe() == [], (path, width)
        assert browser.value("document.documentElement.scrollWidth") <= width, (path, width)
        assert all(url.startswith((site, "data:")) for url in browser.requests), browser.requests


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (2560, 1440), (1920, 1080)])
def test_the_overview_fits_a_screen(browser: Browser, site: str, width: int, height: int) -> None:
    browser.show(width, height)
    browser.go(site)

    assert browser.height() <= height


def test_keys_search_walk_and_help(wide: Browser, site: str) -> None:
    wide.go(f"{site}/checks")
    wide.press("j")
    wide.press("j")
    wide.press("k")
    assert wide.value("[...document.querySelectorAll('tbody tr')].findIndex(row => row.classList.contains('at'))") == 0
    assert wide.value("document.activeElement.closest('tr').classList.contains('at')")
    wide.press("?")
    assert wide.value("document.getElementById('help').open")
    wide.press("?")
    assert not wide.value("document.getElementById('help').open")
    wide.press("/")
    assert wide.value("document.activeElement.id") == "q"
    wide.press("j")
    assert wide.value("document.getElementById('q').value") == "j"


def test_what_one_types_stays_when_the_page_is_made_fresh(wide: Browser, site: str) -> None:
    wide.go(f"{site}/checks")
    wide.value("document.querySelector('main input[name=q]').focus()")
    for sign in "bank":
        wide.press(sign)
    wide.value("document.querySelector('#list tbody').remove()")
    wide.value("refresh()")

    assert wide.value("document.querySelectorAll('#list tbody tr').length") > 3
    assert wide.value("document.querySelector('main input[name=q]').value") == "bank"
    assert wide.value("document.activeElement.name") == "q"


@pytest.mark.parametrize("what", ["findings", "incidents", "verdicts", "anything"])
def test_a_change_that_is_heard_of_is_shown_soon(wide: Browser, site: str, what: str) -> None:
    wide.go(f"{site}/checks")
    wide.value("document.querySelector('#list tbody').remove()")
    wide.value(
        f"changed({{data: JSON.stringify({{what: '{what}', at: '2026-11-24T12:00:00Z'}})}}); heard = performance.now()"
    )
    wide.until("document.querySelectorAll('#list tbody tr').length > 3")

    assert wide.value("performance.now() - heard") < 4000  # of which the answer itself takes its time on a busy machine


def test_a_hidden_tab_asks_nothing(wide: Browser, site: str) -> None:
    wide.go(f"{site}/checks")
    wide.value("Object.defineProperty(document, 'hidden', {value: true})")
    wide.value("document.dispatchEvent(new Event('visibilitychange'))")
    wide.requests.clear()
    wide.value('changed({data: \'{"what":"findings"}\'})')
    wide.value("new Promise(done => setTimeout(done, 2500))")

    assert wide.value("stream") is None
    assert wide.requests == []


def test_a_form_inside_of_what_is_fresh_is_left_alone(wide: Browser, site: str) -> None:
    wide.go(site)
    wide.value("document.querySelector('#at').value = '2026-11-24T12:00'")
    wide.value("document.querySelector('#at').dispatchEvent(new Event('input', {bubbles: true}))")
    wide.value("refresh()")

    assert wide.value("document.querySelector('#at').value") == "2026-11-24T12:00"


def test_without_a_server_the_page_says_since_when_it_is_stale(wide: Browser, kept: ClickHouseHistory) -> None:
    served = Served(make_parts(kept, make_ledger()))
    wide.go(served.url)
    wide.value("refresh()")
    assert wide.value("document.getElementById('state').textContent") == "live"
    served.stop()
    wide.value("refresh()")

    assert re.fullmatch("stale since [0-9]{2}:[0-9]{2}", wide.value("document.getElementById('state').textContent"))


def test_everything_works_without_script(browser: Browser, site: str) -> None:
    browser.show(1440, 900, script=False)
    try:
        browser.go(site)
        root = browser.call("DOM.getDocument")["root"]["nodeId"]

        def text() -> str:
            node = browser.call("DOM.querySelector", nodeId=root, selector="main")["nodeId"]
            return str(browser.call("DOM.getOuterHTML", nodeId=node)["outerHTML"])

        assert "api.bank.example" in text()
        browser.go(f"{site}/checks?verdict=bogus&sort=name")
        root = browser.call("DOM.getDocument")["root"]["nodeId"]
        assert "api.bank.example" in text()
        assert "www.bank.example" not in text()
    finally:
        browser.show(1440, 900)


QUESTIONS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("what is bad now", (), "bank.example."),
    ("why is it bad", ("#incidents tbody a",), "rrsig expired"),
    ("what must be done", ("#incidents tbody a", "a[href^='/runbooks/']"), "Who must do what"),
    ("who was told, and why not", (), "withheld"),
    ("what changed today", ("nav a[href='/changes']",), "Weaker"),
    ("what ends when", ("nav a[href='/calendar']",), "In order"),
    ("which resolver protects whom", ("nav a[href='/resolvers']",), "Protects its clients?"),
    (
        "which of my accounts rest on unsigned names",
        ("nav a[href='/owners']", "a[href='/owners/shop']"),
        "Rest on unsigned names",
    ),
    ("what of payments is burning", ("nav a[href='/owners']", "a[href^='/owners/payments']"), "What is bad now"),
    ("what does this zone hold up", ("nav a[href='/zones']", "a[href='/zones/bank.example.']"), "Who rests on it"),
    ("is a rollover going on", ("nav a[href='/zones']", "a[href='/zones/bank.example.']"), "DS at the parent"),
    (
        "do the servers agree",
        ("nav a[href='/zones']", "a[href='/zones/bank.example.']"),
        "Servers, and how they differ",
    ),
    ("where does the chain break", ("nav a[href='/checks']", "#list tbody a.name"), "weak link"),
    ("what did it answer before", ("nav a[href='/checks']", "#list tbody a.name"), "Over time"),
    ("what was seen", (f"a[href='/findings/{FINDING}']", f"a[href='/evidence/{EVIDENCE}']"), "no DNS message"),
    ("is the watch itself healthy", (), "The watch itself"),
    ("what is not watched", ("nav a[href='/inventory']",), "never.example."),
    ("who is silenced", ("nav a[href='/silences']",), "Add one"),
    ("would this name hold", ("nav a[href='/explain']",), "Validate"),
)


@pytest.mark.parametrize(("question", "clicks", "answer"), QUESTIONS, ids=[question for question, _, _ in QUESTIONS])
def test_a_newcomers_question_is_answered_within_two_clicks(
    wide: Browser, site: str, question: str, clicks: tuple[str, ...], answer: str
) -> None:
    wide.go(site)
    for selector in clicks:
        wide.click(selector)

    assert len(clicks) <= 2
    assert answer in str(wide.value("document.querySelector('main').textContent"))


def test_the_questions_are_those_of_the_documentation() -> None:
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs/console.md").read_text(encoding="utf-8")
    asked = re.findall(r"^\| ([a-z][^|?]+)\? \|", text, re.MULTILINE)

    assert asked == [question for question, _, _ in QUESTIONS]


def test_the_script_is_short_and_asks_nobody_else() -> None:
    from anchorwatch.web import pages

    source = (pages.STATIC / "console.js").read_text(encoding="utf-8")

    assert len(source.splitlines()) <= 100
    assert not re.search("https?:|eval|innerHTML *=[^=]|document.write|Function", source)
