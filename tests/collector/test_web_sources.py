"""Inventories fetched over HTTP: asked for only if they changed, bounded, and never a reason to forget anybody."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.config import InventorySource, WebSource
from collector.inventory.formats.known import Document
from collector.inventory.sources import InventorySources, load_source
from collector.inventory.supplies.polled import Polled
from collector.inventory.supplies.supply import Delivery
from collector.inventory.supplies.web import WebDocument
from schemas.egress import Egress
from tests.support.certificates import Authority
from tests.support.web import Asked, Reply, Site, site

ROWS = b"id,endpoints\nsa-1,a.test\n"


@pytest.fixture
def server() -> Iterator[Site]:
    with site() as one:
        yield one


def source(server: Site, path: str = "/inv.csv", **web: object) -> WebSource:
    return WebSource(url=server.url + path, **{"timeout_s": 60.0, **web})  # type: ignore[arg-type]


def why(document: WebDocument) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        document.fetch()
    return str(refused.value)


def content(delivery: Delivery | None) -> bytes:
    assert delivery is not None
    return delivery.documents[0].content


def test_a_document_that_did_not_change_is_not_sent_again(server: Site) -> None:
    def reply(asked: Asked) -> Reply:
        if asked.headers.get("if-none-match") == '"1"':
            return Reply(304)
        return Reply(200, ROWS, {"etag": '"1"', "last-modified": "Fri, 27 Nov 2026 07:00:00 GMT"})

    server.reply = reply
    document = WebDocument(source(server))

    first = document.fetch()
    assert content(first) == ROWS
    assert first is not None
    assert first.written_ns == 1_795_762_800 * 10**9
    assert document.fetch() is None
    assert server.asked[1].headers["if-modified-since"] == "Fri, 27 Nov 2026 07:00:00 GMT"


def test_a_server_that_answers_not_modified_though_nobody_asked_so_is_no_answer(server: Site) -> None:
    server.reply = lambda asked: Reply(304)

    assert "it answers 304" in why(WebDocument(source(server)))


def drip(write: Callable[[bytes], object]) -> None:
    write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(200):
        write(b"x: y\r\n")
        threading.Event().wait(0.05)


def no_http(write: Callable[[bytes], object]) -> None:
    write(b"hunter2\r\n\r\n")


def endless(write: Callable[[bytes], object]) -> None:
    write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        write(b"a.test\n" * 10_000)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(500, b"hunter2"), "it answers 500"),
        (Reply(404), "it answers 404"),
        (Reply(403, b"hunter2"), "it answers 403: the credentials in 'headers_file'"),
        (Reply(200, b"<html>", {"content-type": "text/html; charset=utf-8"}), "perhaps one to log in"),
        (Reply(200, gzip.compress(ROWS), {"content-encoding": "gzip"}), "compressed"),
        (Reply(200, ROWS, {"content-length": "1000"}), "ended early"),
        (Reply(302, b"", {"location": "http://other.test/hunter2"}), "it leads to another server"),
        (Reply(302, b"", {"location": "//[hunter2"}), "it leads to another server"),
        (Reply(301, b"", {"location": "/inv.csv"}), "without end"),
        (Reply(raw=no_http), "no HTTP"),
        (Reply(raw=lambda write: None), "no HTTP"),
    ],
)
def test_an_answer_that_can_not_be_used_is_told_without_what_may_be_secret(
    server: Site, reply: Reply, sentence: str
) -> None:
    server.reply = lambda asked: reply

    said = why(WebDocument(source(server, "/inv.csv?token=hunter2")))

    assert said.startswith(f"{server.url}/inv.csv?")
    assert sentence in said
    assert "hunter2" not in said


def test_an_answer_that_drips_is_cut_off(server: Site) -> None:
    server.reply = lambda asked: Reply(raw=drip)

    assert "no whole answer within 0.3 s" in why(WebDocument(source(server, timeout_s=0.3)))


def test_an_answer_without_end_is_cut_off(server: Site) -> None:
    server.reply = lambda asked: Reply(raw=endless)

    assert "longer than 64 MiB" in why(WebDocument(source(server, timeout_s=60.0)))


def test_a_redirection_within_the_server_is_followed(server: Site) -> None:
    server.reply = lambda asked: Reply(200, ROWS) if asked.path == "/b" else Reply(302, b"", {"location": "/b"})

    assert content(WebDocument(source(server)).fetch()) == ROWS


def test_headers_come_from_a_file_read_each_time_and_go_nowhere_else(server: Site, tmp_path: Path) -> None:
    with site() as other:
        server.reply = lambda asked: Reply(302, b"", {"location": f"{other.url}/x"})
        path = tmp_path / "headers"
        path.write_text("# ours\nAuthorization: Bearer hunter2\nX-Team: dns\n")
        document = WebDocument(source(server, headers_path=str(path)))

        said = why(document)
        path.write_text("Authorization: Bearer hunter3\n")
        why(document)

        assert [one.headers["authorization"] for one in server.asked] == ["Bearer hunter2", "Bearer hunter3"]
        assert other.asked == []
        assert "hunter2" not in said


@pytest.mark.parametrize("text", ["hunter2", "A: \x07hunter2", "A b: hunter2", "A:", "A: hunter2ü"])
def test_a_line_that_is_no_header_is_told_without_it(server: Site, tmp_path: Path, text: str) -> None:
    path = tmp_path / "headers"
    path.write_text(f"X: y\n{text}\n", newline="")

    said = why(WebDocument(source(server, headers_path=str(path))))

    assert f"{path}:2: 'Name: value' is expected" in said
    assert "hunter2" not in said
    assert server.asked == []


def test_only_a_certificate_of_a_trusted_authority_counts(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    with site(ours.certify("127.0.0.1")) as one:
        one.reply = lambda asked: Reply(200, ROWS)

        assert content(WebDocument(source(one, ca_path=ours.path)).fetch()) == ROWS
        by_rule = source(one, egress=Egress(ca_path=ours.path))
        assert content(WebDocument(by_rule).fetch()) == ROWS
        assert "its certificate can't be trusted" in why(WebDocument(source(one, ca_path=theirs.path)))


def test_a_proxy_is_used_by_the_rule_for_all_that_connects(server: Site) -> None:
    server.reply = lambda asked: Reply(200, ROWS)
    web = WebSource(url="http://inventory.test/x.csv", egress=Egress(http_proxy=server.url))

    assert content(WebDocument(web).fetch()) == ROWS
    assert server.asked[0].path == "http://inventory.test/x.csv"


def test_a_server_that_is_not_there_is_told(server: Site) -> None:
    with site() as gone:
        web = source(gone)

    assert "connection refused" in why(WebDocument(web))


def test_what_is_fetched_is_an_inventory_by_its_name_and_looks(server: Site) -> None:
    server.reply = lambda asked: Reply(200, b'{"mcpServers": {"x": {"url": "https://a.test"}}}')

    inventory = load_source(InventorySource(web=source(server, "/team/mcp.json")))

    assert [one.id for one in inventory.identities] == ["mcp:mcp/x"]


class Watched:
    """A source on the web as the collector has it: it looks, and loads when something changed."""

    def __init__(self, server: Site, folder: Path) -> None:
        self.now = 0.0
        self.key = f"{server.url}/inv.csv"
        self.sources = InventorySources(
            [InventorySource(web=source(server), format="csv")],
            ("lab",),
            folder / "state",
            clock=lambda: 1.8e9 + self.now,
            stopwatch=lambda: self.now,
        )
        self.rows = len(self.sources.load().identities)

    def later(self, seconds: float, is_there: Callable[[], bool]) -> int:
        """Let time pass until what is expected is there, and return how many rows count then."""
        self.now += seconds
        deadline = time.monotonic() + 60.0
        while not is_there() and time.monotonic() < deadline:
            if self.sources.changed():
                self.rows = len(self.sources.load().identities)
        return self.rows

    @property
    def shrunk(self) -> str:
        return self.sources.shrunk.get(self.key, "")

    @property
    def stale(self) -> str:
        return self.sources.troubles.get(self.key, "")


def table(rows: int) -> bytes:
    return b"id,endpoints\n" + b"".join(f"sa-{n},h{n}.test\n".encode() for n in range(rows))


def test_a_body_that_shrinks_is_held_and_a_server_that_is_down_keeps_its_rows(server: Site, tmp_path: Path) -> None:
    server.reply = lambda asked: Reply(200, table(20))
    watched = Watched(server, tmp_path)
    assert watched.rows == 20

    server.reply = lambda asked: Reply(200, table(5))
    assert watched.later(300.0, lambda: bool(watched.shrunk)) == 20
    assert "from 20 to 5 identities" in watched.shrunk

    server.reply = lambda asked: Reply(503)
    assert watched.later(300.0, lambda: bool(watched.stale)) == 20
    assert "it answers 503; its last good 20 rows stay watched" in watched.stale

    server.reply = lambda asked: Reply(200, table(21))
    assert watched.later(60.0, lambda: watched.rows == 21) == 21
    assert not watched.stale
    assert not watched.shrunk


class Asking:
    """A source that is asked again and again, by a clock of the test's, of whose answers the test says when."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0
        self.answer: bytes | str | None = ROWS
        self.polled = Polled("web", self.fetch, 300.0, 60.0, lambda: self.now)

    def fetch(self) -> Delivery | None:
        self.calls += 1
        if isinstance(self.answer, str):
            raise ValueError(self.answer)
        return Delivery((Document("", "web", self.answer),)) if self.answer is not None else None

    def later(self, seconds: float) -> object:
        """Let time pass, and return the stamp once nothing is under way any more."""
        self.now += seconds
        self.polled.stamp()
        thread = self.polled._thread
        if thread is not None:
            thread.join(60.0)
        return self.polled.stamp()


def test_it_is_asked_at_its_pace_and_what_did_not_change_is_no_change() -> None:
    asking = Asking()
    delivery = asking.polled.read()

    assert asking.polled.stamp() == delivery.stamp
    assert asking.later(299.0) == delivery.stamp
    assert asking.calls == 1
    assert asking.later(1.0) == delivery.stamp
    asking.answer = None
    assert asking.later(300.0) == delivery.stamp
    asking.answer = b"id,endpoints\nsa-2,b.test\n"
    assert asking.later(300.0) != delivery.stamp
    assert asking.calls == 4
    assert content(asking.polled.read()) == asking.answer


def test_a_failure_is_a_change_is_asked_again_sooner_and_ends() -> None:
    asking = Asking()
    first = asking.polled.read().stamp

    asking.answer = "web: connection refused"
    failed = asking.later(300.0)
    assert failed != first
    with pytest.raises(ValueError, match="connection refused"):
        asking.polled.read()
    assert asking.later(60.0) == failed
    asking.answer = ROWS
    assert asking.later(60.0) != failed
    assert content(asking.polled.read()) == ROWS


def test_nobody_waits_for_an_answer_but_the_first_reading() -> None:
    held = threading.Event()

    def fetch() -> Delivery | None:
        held.wait(30.0)
        return Delivery((Document("", "web", ROWS),))

    polled = Polled("web", fetch, 300.0, 0.05)

    with pytest.raises(ValueError, match="web: no answer yet"):
        polled.read()
    assert polled.stamp() is None
    held.set()
    assert polled._thread is not None
    polled._thread.join(60.0)
    assert content(polled.read()) == ROWS


def test_a_crash_is_raised_by_whoever_reads() -> None:
    def fetch() -> Delivery | None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        Polled("web", fetch, 300.0, 60.0).read()
