"""Places in lists: every row once, whatever comes in; and cursors that are none."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.web.cursors import Page, cut, cut_behind, make_cursor, read_cursor, read_page
from anchorwatch.web.doors import BadQuery

PATH = "/api/v1/things"


def key(row: int) -> tuple[int]:
    return (row,)


def follow(link: str) -> Page:
    """Return the page that a Link header leads to."""
    target = urlsplit(link[1 : link.index(">")])
    given = parse_qsl(target.query)
    return read_page(target.path, given, int(dict(given)["limit"]))


@given(rows=st.sets(st.integers(-1000, 1000)), limit=st.integers(1, 7))
def test_pages_one_after_the_other_have_every_row_once(rows: set[int], limit: int) -> None:
    ordered, seen = sorted(rows), list[int]()
    page: Page | None = Page(path=PATH, filters=(("zone", "a.example"),), limit=limit)
    while page is not None:
        part = cut(ordered, key, page)
        seen += part.rows
        link = part.link(page)
        page = follow(link) if link else None

    assert seen == ordered


def test_rows_that_come_in_meanwhile_move_nothing() -> None:
    page = Page(path=PATH, limit=2)
    link = cut([10, 20, 30, 40], key, page).link(page)

    assert cut([5, 10, 15, 25, 30, 40], key, follow(link)).rows == [25, 30]


def test_a_row_that_a_list_in_its_own_order_lost_is_told() -> None:
    page = Page(path=PATH, limit=2)
    link = cut_behind([40, 10, 30, 20], key, page).link(page)

    assert cut_behind([50, 40, 10, 30, 20], key, follow(link)).rows == [30, 20]
    with pytest.raises(BadQuery, match="no longer in the list: begin the list anew"):
        cut_behind([40, 30, 20], key, follow(link))


CURSOR = make_cursor(f"{PATH}?zone=a.example", (7, "x"))


@given(place=st.integers(0, len(CURSOR) - 1), sign=st.sampled_from("AQgw019_-=. \n"))
def test_a_cursor_that_was_changed_is_none(place: int, sign: str) -> None:
    changed = CURSOR[:place] + sign + CURSOR[place + 1 :]
    if changed != CURSOR:
        with pytest.raises(BadQuery, match="begin the list anew"):
            read_cursor(f"{PATH}?zone=a.example", changed)


@pytest.mark.parametrize(
    "given",
    [
        [("zone", "b.example")],
        [],
        [("zone", "a.example"), ("code", "x")],
    ],
)
def test_a_cursor_is_of_one_list_with_its_filters(given: list[tuple[str, str]]) -> None:
    with pytest.raises(BadQuery, match="of another list, of other filters"):
        read_page(PATH, [*given, ("cursor", CURSOR)], 10)
    with pytest.raises(BadQuery, match="of another list"):
        read_page("/api/v1/others", [("zone", "a.example"), ("cursor", CURSOR)], 10)


def test_the_size_of_a_page_may_change_on_the_way() -> None:
    assert read_page(PATH, [("zone", "a.example"), ("limit", "5"), ("cursor", CURSOR)], 5).after == (7, "x")


@pytest.mark.parametrize("body", [(1.5,), ("x", "y"), (1,), (None,), {"a": 1}, 7, (1, "x", 2)])
def test_a_cursor_that_somebody_made_has_the_types_of_the_list(body: Any) -> None:
    with pytest.raises(BadQuery, match="begin the list anew"):
        read_cursor(PATH, make_cursor(PATH, body), tuple[int, str])


@pytest.mark.parametrize("text", ["", "=", "A", "====", "é", "[" * 5000, "AAAA" * 3000])
def test_what_is_no_cursor_is_told(text: str) -> None:
    with pytest.raises(BadQuery, match="begin the list anew"):
        read_cursor(PATH, text)
