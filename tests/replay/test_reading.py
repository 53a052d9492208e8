"""What is refused in a scenario, and how it is said."""

import pytest

from anchorwatch.replay import language
from anchorwatch.replay.reading import parse_scenario
from anchorwatch.replay.scenario import Scenario
from schemas.faults import ConfigError

HEAD = """\
scenario: one
lasts: 2d
zones:
  bank.example: {records: [www A 192.0.2.1]}
inventory:
  - {id: sa, endpoints: [{host: www.bank.example, types: [A]}]}
"""


def read(more: str = "", head: str = HEAD) -> Scenario:
    return parse_scenario(head + more, "one.yaml")


def problems(more: str, head: str = HEAD) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(more, head)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("more", "place", "sentence"),
    [
        ("steps:\n  - at: 1d\n    set_sd: bank.example\n", "one.yaml:9:", "'set_ds' is meant?"),
        ("steps:\n  - {at: 1d, set_ds: {zoen: bank.example}}\n", "one.yaml:8:", "'zone' is meant?"),
        ("steps:\n  - {at: 1d, drop_ds: bnak.example}\n", "one.yaml:8:", "'bank.example.' is meant?"),
        ("steps:\n  - {at: 1d, publish: {zone: bank.example, key: zks}}\n", "one.yaml:8:", "'zsk' is meant?"),
        ("steps:\n  - {at: 1d, flush: resolvr}\n", "one.yaml:8:", "'resolver' is meant?"),
        ("steps:\n  - {at: 1d, server_down: nn1.bank.example}\n", "one.yaml:8:", "'ns1.bank.example.' is meant?"),
        ("steps:\n  - {at: 3d, stall: bank.example}\n", "one.yaml:8:", "behind the end"),
        ("steps:\n  - {stall: bank.example}\n", "one.yaml:8:", "either 'at' or 'every'"),
        ("steps:\n  - {at: noon, stall: bank.example}\n", "one.yaml:8:", "is not a span"),
        ("steps:\n  - {at: 1d}\n", "one.yaml:8:", "nothing happens"),
        ("steps:\n  - {at: 1d, corrupt: {zone: bank.example, rrset: www A, field: sginer}}\n", ":8:", "'signer' is"),
        ("steps:\n  - {at: 1d, corrupt: {zone: bank.example, rrset: www AAA}}\n", ":8:", "names no RRset"),
        ("steps:\n  - {at: 1d, answer: {name: www.bank.example, records: 300.0.0.1}}\n", ":8:", "no records of type A"),
        ("steps:\n  - {at: 1d, strip: {share: 0.5}}\n", "one.yaml:8:", "one server or one vantage"),
        ("steps:\n  - {at: 1d, lose: 1.5}\n", "one.yaml:8:", "a number from 0 to 1 is expected, not 1.5"),
        ("expect:\n  - finding: {code: rrsig_expird}\n", "one.yaml:8:", "'rrsig_expired' is meant?"),
        ("expect:\n  - findign: {code: rrsig_expired}\n", "one.yaml:8:", "'finding' is meant?"),
        ("expect:\n  - pages: {receiver: pgaer, count: 1}\n", "one.yaml:8:", "'pager' is meant?"),
        ("expect:\n  - verdict: {name: www.bank.example, at: 5d}\n", "one.yaml:8:", "behind the end"),
        ("config: {poll: {intervall: 5m}}\n", "one.yaml:7:", "'interval' is meant?"),
        ("config: {receivers: []}\n", "one.yaml:7:", "a place of its own"),
        ("vantages: {corp: {max_ttl: long}}\n", "one.yaml:7:", "is not a span"),
        ("receivers: {soc: {severity: [grave]}}\n", "one.yaml:7:", "is expected, not"),
        ("trust_anchors: kks\n", "one.yaml:7:", "'ksk' is meant?"),
        ("zones: {}\n", "one.yaml:7:", "there twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_the_nearest_right_word(more: str, place: str, sentence: str) -> None:
    found = problems(more)

    assert any(place in one and sentence in one for one in found), found


@pytest.mark.parametrize(
    ("zone", "sentence"),
    [
        ("{records: [www A]}", "is no record"),
        ("{records: [www AAAA 192.0.2.1]}", "is no record"),
        ("{algorithm: 12}", "is none of the algorithms"),
        ("{keys: {a: {role: zks}}}", "is expected, not"),
        ("{keys: {a: {role: zsk, collides_with: b}}}", "no key 'b'"),
        ("{signing: {refresh: sometimes}}", "is not a span"),
        ("{nsec3: {iterations: 70000}}", "from 0 to 65535 is expected"),
        ("{colour: red}", "unknown key"),
    ],
)
def test_a_zone_that_can_not_be_is_refused(zone: str, sentence: str) -> None:
    found = problems("", HEAD.replace("{records: [www A 192.0.2.1]}", zone))

    assert all(one.startswith("one.yaml:4:") and sentence in one for one in found), found


def test_every_mistake_is_named_at_once() -> None:
    found = problems("steps:\n  - {at: 1d, stal: x}\n  - {at: 1d, drop_ds: {zones: y}}\nexpect:\n  - pagse: 1\n")

    assert [one.split(":")[1] for one in found] == ["8", "9", "9", "11"]


def test_a_text_is_the_first_field_and_a_list_is_several() -> None:
    scenario = read(
        "steps:\n  - at: 1d\n    drop_ds: bank.example\n    flush: [resolver, resolver]\nexpect:\n  - pages: 2\n"
    )

    assert [type(step.word) for step in scenario.steps] == [language.DropDs, language.Flush, language.Flush]
    (expected,) = scenario.expected
    assert isinstance(expected.word, language.Pages)
    assert expected.word.count == 2


def test_recurring_steps_count_their_times() -> None:
    scenario = read(
        "steps:\n"
        "  - {every: 12h, from: 6h, new_key: {zone: bank.example, key: 'zsk{n}'}}\n"
        "  - {every: 12h, from: 18h, publish: {zone: bank.example, key: 'zsk{p}'}}\n",
        HEAD.replace("{records", "{keys: {zsk0: {role: csk}}, records"),
    )

    words = [step.word for step in scenario.steps]
    made = [word.key for word in words if isinstance(word, language.NewKey)]
    published = [word.key for word in words if isinstance(word, language.Publish)]
    assert made == ["zsk1", "zsk2", "zsk3", "zsk4"]
    assert published == ["zsk0", "zsk1", "zsk2"]
    assert [step.at / 3600 for step in scenario.steps] == [6, 18, 18, 30, 30, 42, 42]


def test_a_pattern_means_each_zone_like_it_one_after_the_other() -> None:
    scenario = read(
        "steps:\n  - {at: 1d, stagger: 1h, stall: 'bank*.example'}\n",
        HEAD.replace("bank.example: {", "'bank{N}.example': {copies: 3, ", 1),
    )

    assert [(step.at / 3600, step.word.zone) for step in scenario.steps if isinstance(step.word, language.Stall)] == [
        (24, "bank1.example."),
        (25, "bank2.example."),
        (26, "bank3.example."),
    ]


def test_a_pattern_that_means_no_zone_is_refused() -> None:
    assert any("no zone is like" in one for one in problems("steps:\n  - {at: 1d, stall: 'q*.example'}\n"))


def test_the_root_and_the_top_level_domain_are_there_unasked() -> None:
    assert [plan.name.to_text() for plan in read().zones] == [".", "example.", "bank.example."]
