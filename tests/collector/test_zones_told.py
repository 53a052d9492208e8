"""What the collector remembers of zones, and for how long."""

from dataclasses import replace
from datetime import UTC, datetime

from collector.dnssec.judgement import ZoneFacts
from collector.polling.zones import MOST_SIGNINGS, MOST_UNHELD, ZonesTold
from schemas.judgement import ChainLink, Verdict, ZoneKey
from schemas.messages import DenialParameters, Evidence

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVIDENCE = Evidence(digest="e", name="a.", type="A", at=AT, messages=(), trust_anchors=(), policy={})


def facts(zone: str, parent: str = "") -> ZoneFacts:
    keys = (ZoneKey(1, 13, 257, None, "digest1"), ZoneKey(2, 13, 256, None, "digest2"))
    return ZoneFacts(ChainLink(zone, Verdict.SECURE, ("1 13 2 AA",), keys), parent, (), (), (), (zone.encode(),))


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


def test_a_node_of_the_chain_that_shows_the_zone_again_is_told_again_after_a_day_too() -> None:
    told, same = ZonesTold(refresh_s=86_400.0), facts(".")
    told.see([same], EVIDENCE, "corp", AT, 0.0)

    assert told.see([same], EVIDENCE, "corp", AT, 86_399.0).news == ()
    (again,) = told.see([same], EVIDENCE, "corp", AT, 86_400.0).news
    assert again.occasion == "refresh"


def test_another_key_that_signs_data_is_told_though_the_node_of_the_chain_is_the_same() -> None:
    told, first, second = ZonesTold(refresh_s=86_400.0), ((1, 13),), ((2, 13),)
    one = replace(facts("."), signings={first: 100})
    told.see([one], EVIDENCE, "corp", AT, 0.0)

    assert told.see([replace(one, signings={first: 200})], EVIDENCE, "corp", AT, 1.0).news == ()
    (changed,) = told.see([replace(one, signings={second: 300})], EVIDENCE, "corp", AT, 2.0).news
    assert [(one.keys, one.cached_until.timestamp()) for one in changed.signings] == [(first, 200), (second, 300)]


def test_a_proof_of_absence_of_another_kind_is_told_though_the_node_of_the_chain_is_the_same() -> None:
    told, one = ZonesTold(refresh_s=86_400.0), facts(".")
    told.see([replace(one, denial=DenialParameters())], EVIDENCE, "corp", AT, 0.0)

    assert told.see([one], EVIDENCE, "corp", AT, 1.0).news == (), "an answer that needs no proof"
    (changed,) = told.see([replace(one, denial=DenialParameters(nsec3=True))], EVIDENCE, "corp", AT, 2.0).news
    assert changed.denial == DenialParameters(nsec3=True)


def test_zones_that_an_alias_left_are_remembered_within_bounds() -> None:
    told = ZonesTold(refresh_s=86_400.0)
    for number in range(MOST_UNHELD + 2):
        zone = f"x{number}."
        told.see([facts(zone)], EVIDENCE, "corp", AT, 0.0)
        told.hold([zone], "corp")
        told.release([zone], "corp")

    assert len(told.see([facts("x1.")], EVIDENCE, "corp", AT, 1.0).news) == 1, "forgotten"
    assert told.see([facts(f"x{MOST_UNHELD}.")], EVIDENCE, "corp", AT, 1.0).news == ()


class TestUnsigned:
    """A zone that is proven insecure: whether it signs its data still."""

    UNSIGNED = ZoneFacts(ChainLink("bank.example.", Verdict.INSECURE), "example.", (), (), (), (b"",))

    def test_data_below_a_cut_that_was_seen_while_cuts_could_be_proven_are_not_the_zones(self) -> None:
        told = ZonesTold(refresh_s=86_400.0)
        child = replace(self.UNSIGNED, link=ChainLink("cdn.bank.example.", Verdict.INSECURE), parent="bank.example.")
        told.see(
            [facts("."), facts("example.", "."), facts("bank.example.", "example."), child], EVIDENCE, "corp", AT, 0.0
        )

        one = replace(self.UNSIGNED, signings={(): 100, ((2, 13),): 100}, unsigned=("www.cdn.bank.example.",))
        (gone,) = told.see([one], EVIDENCE, "corp", AT, 1.0).news

        assert [signing.keys for signing in gone.signings] == [((2, 13),)]

    def test_data_of_the_zone_itself_are(self) -> None:
        told = ZonesTold(refresh_s=86_400.0)
        told.see([facts("example."), facts("bank.example.", "example.")], EVIDENCE, "corp", AT, 0.0)

        one = replace(self.UNSIGNED, signings={(): 100}, unsigned=("www.cdn.bank.example.", "www.bank.example."))
        (gone,) = told.see([one], EVIDENCE, "corp", AT, 1.0).news

        assert [signing.keys for signing in gone.signings] == [()]


def test_signatures_in_ever_new_ways_push_out_none_that_the_keys_of_now_make() -> None:
    told, one, ours = ZonesTold(refresh_s=86_400.0), facts("."), ((2, 13),)
    told.see([one], EVIDENCE, "corp", AT, 0.0)
    for tag in range(100, 100 + 5 * MOST_SIGNINGS):
        told.see([replace(one, signings={((2, 13), (tag, 15)): 10_000})], EVIDENCE, "corp", AT, 1.0)

    (changed,) = told.see([replace(one, signings={ours: 100})], EVIDENCE, "corp", AT, 2.0).news

    assert len(changed.signings) <= MOST_SIGNINGS
    assert ours in [signing.keys for signing in changed.signings]


def test_what_is_told_says_until_when_caches_may_keep_it_and_whether_the_servers_were_asked() -> None:
    told, now_s = ZonesTold(86_400.0, walked=("authoritative",)), int(AT.timestamp())
    one = replace(facts("."), keys_until=now_s + 3600, ds_until=now_s + 60)

    (asked,) = told.see([one], EVIDENCE, "authoritative", AT, 0.0).news
    (copied,) = told.see([one], EVIDENCE, "corp", AT, 0.0).news

    assert asked.from_servers
    assert not copied.from_servers
    assert asked.keys_until is not None
    assert asked.ds_until is not None
    assert (asked.keys_until.timestamp(), asked.ds_until.timestamp()) == (now_s + 3600, now_s + 60)
