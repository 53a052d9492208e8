import pytest

from collector.dnssec import names
from collector.dnssec.anchors import IANA, parse_anchors

DS = "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"


def test_the_shipped_anchors_are_those_of_the_root() -> None:
    anchors = parse_anchors(IANA, "shipped")

    assert sorted(ds.tag for ds in anchors.by_zone[names.ROOT].ds) == [20326, 38696]


def test_the_closest_anchor_is_found() -> None:
    anchors = parse_anchors(f". IN DS {DS}\nexample. DS {DS}\n", "x")

    assert anchors.closest(names.from_text("www.example")).zone == names.from_text("example")  # type: ignore[union-attr]
    assert anchors.closest(names.from_text("other")).zone == names.ROOT  # type: ignore[union-attr]
    assert parse_anchors(f"example. DS {DS}", "x").closest(names.from_text("other")) is None


@pytest.mark.parametrize(
    "line", [f". DS {DS}", f". 3600 IN DS {DS}", f"  . IN  DS {DS} ; comment", f"EXAMPLE. ds {DS}"]
)
def test_ttl_class_and_comments_may_vary(line: str) -> None:
    assert len(parse_anchors(line + "\n; a comment\n# another\n\n", "x").texts) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no trust anchor"),
        ("; only a comment", "no trust anchor"),
        (". A 192.0.2.1", "x:1: a trust anchor is a DS or DNSKEY"),
        (". DS nonsense", "x:1: the DS record can't be read"),
        (f". CH DS {DS}", "class IN"),
        (f"a..b DS {DS}", "empty label"),
    ],
)
def test_what_is_no_anchor_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_anchors(text, "x")


def test_all_bad_lines_are_named() -> None:
    with pytest.raises(ValueError, match="x:1") as caught:
        parse_anchors(f". A 1\n. DS {DS}\n. DS broken\n", "x")

    assert "x:3" in str(caught.value)


def test_the_fingerprint_depends_on_the_records_not_on_their_order() -> None:
    one, other = IANA, "\n".join(reversed(IANA.splitlines()))

    assert parse_anchors(one, "x").fingerprint == parse_anchors(other, "y").fingerprint
