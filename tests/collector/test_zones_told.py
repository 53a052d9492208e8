"""What the collector remembers of zones, and for how long."""

from datetime import UTC, datetime

from collector.dnssec.judgement import ZoneFacts
from collector.polling.zones import MOST_UNHELD, ZonesTold
from schemas.judgement import ChainLink, Verdict
from schemas.messages import Evidence

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVIDENCE = Evidence(digest="e", name="a.", type="A", at=AT, messages=(), trust_anchors=(), policy={})


def facts(zone: str, parent: str = "") -> ZoneFacts:
    return ZoneFacts(ChainLink(zone, Verdict.SECURE, ("1 13 2 AA",)), parent, (), (), (), (zone.encode(),))


def test_a_zone_is_told_once_for_all_names_below_it() -> None:
    told = ZonesTold(refresh_s=86_400.0)
    chain = (facts("."), facts("example.", "."))

    first = told.see(chain, EVIDENCE, "corp", AT, 0.0)
    again = told.see(chain, EVIDENCE, "corp", AT, 60.0)

    assert [one.zone for one in first.news] == [".", "example."]
    assert first.news[1].evidence.zones == (first.news[0].evidence.digest,)
    assert (again.news, again.ids, again.evidence) == ((), first.ids, first.evidence)
    assert [one.zone for one in told.see(chain, EVIDENCE, "other", AT, 60.0).news] == [".", "example."]


def test_a_zone_that_stays_the_same_is_told_again_after_a_day() -> None:
    told = ZonesTold(refresh_s=86_400.0)
    told.see([facts(".")], EVIDENCE, "corp", AT, 0.0)

    assert told.see([facts(".")], EVIDENCE, "corp", AT, 86_399.0).news == ()
    (again,) = told.see([facts(".")], EVIDENCE, "corp", AT, 86_400.0).news
    assert again.occasion == "refresh"


def test_zones_that_an_alias_left_are_remembered_within_bounds() -> None:
    told = ZonesTold(refresh_s=86_400.0)
    for number in range(MOST_UNHELD + 2):
        zone = f"x{number}."
        told.see([facts(zone)], EVIDENCE, "corp", AT, 0.0)
        told.hold([zone], "corp")
        told.release([zone], "corp")

    assert len(told.see([facts("x1.")], EVIDENCE, "corp", AT, 1.0).news) == 1, "forgotten"
    assert told.see([facts(f"x{MOST_UNHELD}.")], EVIDENCE, "corp", AT, 1.0).news == ()
