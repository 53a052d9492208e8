"""Answers that are sent once: ETag, 304, gzip, and how much of it at a time."""

import gzip
from typing import Any

import msgspec
import pytest

from anchorwatch.web.compact import compress, is_known, takes_gzip
from schemas.messages import Act
from tests.anchorwatch.test_doors import Answer, app_of, ask
from tests.support.making import AT


class Deeds:
    """A history that has so many acts."""

    def __init__(self, count: int) -> None:
        self.found = [Act(id=f"{n:032x}", kind="note", by="ana", at=AT, why="x" * 20) for n in range(count)]

    def acts(self, limit: int, **_: Any) -> list[Act]:
        return self.found[:limit]


def acts(count: int = 100, path: str = "/api/v1/acts", **headers: str) -> Answer:
    return ask(app_of(history=Deeds(count)), path, **headers)


def test_an_answer_that_is_known_is_not_sent_again() -> None:
    first = acts()
    again = acts(if_none_match=first.headers["etag"])

    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-length" not in again.headers
    assert again.headers["cache-control"] == "no-store"
    assert acts(101, if_none_match=first.headers["etag"]).status == 200


def test_the_tag_is_the_same_compressed_or_not() -> None:
    plain, packed = acts(), acts(accept_encoding="gzip")

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert int(packed.headers["content-length"]) == len(packed.body) < len(plain.body) / 5
    assert packed.headers["etag"] == plain.headers["etag"]
    assert plain.headers["vary"] == "accept-encoding"


def test_what_is_short_goes_as_it_is() -> None:
    assert "content-encoding" not in acts(1, accept_encoding="gzip").headers


def test_errors_and_pages_go_as_they_are() -> None:
    for answer in (
        acts(path="/api/v1/acts?x=1", accept_encoding="gzip"),
        acts(path="/metrics", accept_encoding="gzip"),
    ):
        assert "etag" not in answer.headers
        assert answer.headers.get("content-encoding") is None or "prometheus" in answer.headers["content-type"]


def test_the_same_rows_are_of_different_length_each_time() -> None:
    lengths = {len(acts(accept_encoding="gzip").body) for _ in range(20)}

    assert len(lengths) > 1


@pytest.mark.parametrize("padding", [0, 1, 63])
def test_what_is_compressed_is_read_by_others(padding: int) -> None:
    body = msgspec.json.encode(list(range(5000)))

    assert gzip.decompress(compress(body, padding)) == body


@pytest.mark.parametrize(
    ("field", "taken"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("x-gzip", True),
        ("GZIP", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("gzip;q=0.001", True),
    ],
)
def test_gzip_is_for_who_asks_for_it(field: str, taken: bool) -> None:
    assert takes_gzip([field]) is taken


@pytest.mark.parametrize(
    ("field", "known"),
    [
        ('W/"a"', True),
        ('"a"', True),
        ('"b", W/"a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
        ("", False),
    ],
)
def test_a_tag_is_compared_weakly(field: str, known: bool) -> None:
    assert is_known([field], 'W/"a"') is known
