"""The short way for an answer that was signed anew never says more than the full validation does."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from random import Random

import dns.name
import msgspec
import pytest
from damage import MESSAGE_DAMAGES, RRSET_DAMAGES, Site
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from packets import Message, Record, Terms, sign
from worlds import SignedWorld, make_key

from anchorwatch.lab.zones import Nsec3Params, Zone
from collector.dnssec import names, records
from collector.dnssec.budget import Budget
from collector.dnssec.context import ChainNode, Context
from collector.dnssec.judgement import answer_facts, make_judgement
from collector.dnssec.message import FormError, Response, read_response
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, drive
from collector.dnssec.records import AAAA, CNAME, DS, SOA, TXT, A
from collector.dnssec.resigned import Resigned, content_of, verify_resigned
from collector.dnssec.validation import ValidationResult, validate
from collector.polling.basis import stands_until
from collector.resolvers.dialogue import Dialogues, Instant
from collector.resolvers.view import Judged, View
from schemas.judgement import Judgement, Verdict
from schemas.messages import utc

NOW = 1_800_000_000
HOUR_S = 3_600
DAY_S = 86_400
MX = 15
WWW, DEEP = names.from_text("www.sec.example"), names.from_text("a.b.sec.example")
QUESTIONS = (
    (WWW, A),
    (WWW, AAAA),
    (DEEP, TXT),
    (names.from_text("sec.example"), SOA),
    (names.from_text("sec.example"), MX),
    (names.from_text("any.wild.sec.example"), A),
    (names.from_text("alias.sec.example"), A),
    (names.from_text("alias.sec.example"), CNAME),
    (names.from_text("sec.example"), DS),
    (names.from_text("www.ed.sec.example"), A),
)


@cache
def world() -> SignedWorld:
    """Return ``example.`` over ``sec.``, over ``ed.`` on the same servers."""
    made = SignedWorld(NOW)
    zones = {}
    for name, algorithm, nsec3 in (
        (".", 13, None),
        ("example.", 13, None),
        ("sec.example.", 13, Nsec3Params()),
        ("ed.sec.example.", 15, None),
    ):
        keys = [make_key(Random(name), algorithm, 257), make_key(Random(name + "zsk"), algorithm, 256)]
        zone = zones[name] = made.world.add(Zone(dns.name.from_text(name), ttl=300, keys=keys, nsec3=nsec3))
        zone.add("@", "NS", "ns.example.")
        zone.add("www", "A", "192.0.2.1", "192.0.2.2")
    sec = zones["sec.example."]
    sec.add("www", "AAAA", "2001:db8::1")
    sec.add("a.b", "TXT", '"deep"')
    sec.add("@", "MX", "10 mail.sec.example.")
    sec.add("*.wild", "A", "192.0.2.3")
    sec.add("alias", "CNAME", "www")
    for child, parent, owner in (("example.", ".", "example"), ("sec.example.", "example.", "sec")):
        zones[parent].add(owner, "NS", "ns.example.")
        zones[parent].add(owner, "DS", *zones[child].ds_records())
    sec.add("ed", "NS", "ns.example.")
    sec.add("ed", "DS", *zones["ed.sec.example."].ds_records())
    for zone in made.zones:
        zone.sign(datetime.fromtimestamp(NOW, UTC))
    return made


def honest(asked: Ask) -> Response:
    return read_response(world().message(asked.name, asked.rdtype).to_wire(asked.name, asked.rdtype))


@dataclass
class Watched:
    """A name that was validated once, and the nodes that it left."""

    name: Name
    rdtype: int
    policy: Policy = field(default_factory=Policy)
    nodes: dict[Name, ChainNode] = field(default_factory=dict)

    def __post_init__(self) -> None:
        response = honest(Ask(self.name, self.rdtype))
        result, context = self.in_full(response, NOW)
        self.content = content_of(result, response)
        self.judgement = self.judged(result, context)

    def context(self, now: int) -> Context:
        return Context(now, world().anchors, self.policy, Budget(self.policy), self.nodes)

    def in_full(self, response: Response, now: int) -> tuple[ValidationResult, Context]:
        context = self.context(now)

        def reply_to(asked: Ask) -> Response:
            return response if (asked.name, asked.rdtype) == (self.name, self.rdtype) else honest(asked)

        return drive(validate(context, self.name, self.rdtype), reply_to), context

    def judged(self, result: ValidationResult, context: Context) -> Judgement:
        """Return the judgement less what a new signature may change."""
        whole = make_judgement(context, result, self.name, self.rdtype, "here")
        at = utc(NOW)
        return msgspec.structs.replace(whole, inception_at=at, expires_at=at, validated_at=at, ttl_s=0)

    def in_short(self, response: Response, now: int) -> Resigned | None:
        return verify_resigned(self.context(now), self.name, self.rdtype, response, self.content)

    def signed_anew(self, inception: int, expiration: int) -> Message:
        """Return the honest answer with a new signature over each RRset."""
        message = world().message(self.name, self.rdtype).copy()
        message.answer = [again for one in rrsets_of(message.answer) for again in resigned(one, inception, expiration)]
        return message

    def response(self, message: Message) -> Response:
        return read_response(message.to_wire(self.name, self.rdtype))


def rrsets_of(section: list[Record]) -> list[list[Record]]:
    keys = dict.fromkeys((record.owner, record.covers) for record in section)
    return [[record for record in section if (record.owner, record.covers) == key] for key in keys]


def resigned(rrset: list[Record], inception: int, expiration: int) -> list[Record]:
    """Return an RRset signed anew by the key and over the owner that signed it before."""
    data = [record for record in rrset if not record.is_signature]
    (old,) = [record for record in rrset if record.is_signature]
    owner = data[0].owner
    zone = world().zone_over(owner[:-1] if data[0].rdtype == DS else owner)
    key = next(
        one for one in zone.keys if records.key_tag(one.record.to_digestable()) == int.from_bytes(old.rdata[16:18])
    )
    labels = old.rdata[3]
    over = owner if labels == len(owner) else (*owner[:labels], b"*")
    terms = Terms(names.from_text(zone.name.to_text()), inception, expiration, labels=labels)
    return [*data, sign(data, key, terms, over=over)]


@settings(deadline=None, max_examples=300)
@given(
    question=st.sampled_from(QUESTIONS),
    policy=st.sampled_from((Policy(), Policy(), Policy(skew_s=600), Policy(every_algorithm=True))),
    begins=st.integers(-2 * DAY_S, 700),
    ends=st.one_of(st.integers(-700, 700), st.integers(HOUR_S, 40 * DAY_S)),
    later=st.sampled_from((0, 1, 299, 300, 301, HOUR_S)),
    damages=st.one_of(st.just([]), st.lists(st.sampled_from((*RRSET_DAMAGES, *MESSAGE_DAMAGES)), max_size=2)),
    seed=st.integers(0, 2**32),
)
def test_the_short_way_never_says_more_than_the_full_validation(
    question: tuple[Name, int],
    policy: Policy,
    begins: int,
    ends: int,
    later: int,
    damages: list[str],
    seed: int,
) -> None:
    watched, now, rng = Watched(*question, policy), NOW + later, Random(seed)
    message, site = watched.signed_anew(now + begins, now + ends), Site(world(), question)
    for kind in damages:
        if kind in MESSAGE_DAMAGES:
            MESSAGE_DAMAGES[kind](rng, site, message)
        else:
            changed = [RRSET_DAMAGES[kind](rng, site, one) for one in rrsets_of(message.answer)]
            message.answer = [record for one in changed for record in one]
    try:
        response = watched.response(message)
    except (FormError, ValueError):
        assume(False)
        raise AssertionError from None

    anew = watched.in_short(response, now)

    if anew is not None:
        result, context = watched.in_full(response, now)
        assert result.verdict is Verdict.SECURE
        assert anew.window == answer_facts(result, now).signed
        assert anew.stands_until <= stands_until(result)
        assert watched.judged(result, context) == watched.judgement
        assert content_of(result, response) == watched.content


@pytest.mark.parametrize("question", [(WWW, A), (WWW, AAAA), QUESTIONS[3], QUESTIONS[4], QUESTIONS[9]])
def test_a_new_signature_over_the_same_data_is_enough(question: tuple[Name, int]) -> None:
    watched = Watched(*question)
    response = watched.response(watched.signed_anew(NOW - 60, NOW + DAY_S))

    anew = watched.in_short(response, NOW + 5)

    assert anew is not None
    assert (anew.window.inception_at, anew.window.expires_at) == (utc(NOW - 60), utc(NOW + DAY_S))
    assert anew.window == answer_facts(watched.in_full(response, NOW + 5)[0], NOW + 5).signed


@pytest.mark.parametrize("question", [QUESTIONS[5], QUESTIONS[6], QUESTIONS[7], QUESTIONS[8]])
def test_wildcards_aliases_and_delegations_are_validated_in_full(question: tuple[Name, int]) -> None:
    watched = Watched(*question)

    assert watched.in_short(watched.response(watched.signed_anew(NOW - 60, NOW + DAY_S)), NOW) is None


def test_where_a_cut_may_lie_is_known_after_the_full_validation() -> None:
    watched = Watched(DEEP, TXT)
    response = watched.response(watched.signed_anew(NOW - 60, NOW + DAY_S))

    assert watched.in_short(response, NOW) is not None
    del watched.nodes[DEEP[:-1]]
    assert watched.in_short(response, NOW) is None


@pytest.mark.parametrize(
    ("begins", "ends"),
    [(1, DAY_S), (-DAY_S, -1), (DAY_S, -DAY_S), (-DAY_S, 200)],
    ids=["early", "late", "inverted", "ttl"],
)
def test_times_that_full_validation_objects_to_are_left_to_it(begins: int, ends: int) -> None:
    watched = Watched(WWW, A)

    assert watched.in_short(watched.response(watched.signed_anew(NOW + begins, NOW + ends)), NOW) is None


def test_other_data_another_ttl_of_the_signer_or_another_key_are_left_to_it() -> None:
    watched = Watched(WWW, A)
    zone = world().zone_over(WWW)
    data = [record for record in world().message(WWW, A).answer if not record.is_signature]
    other = [replace(data[0], rdata=bytes((198, 51, 100, 66))), *data[1:]]
    terms = Terms(names.from_text("sec.example"), NOW - 60, NOW + DAY_S)
    by_zsk, by_ksk = zone.keys[1], zone.keys[0]

    for records_, key, said in (
        (other, by_zsk, terms),
        (data[:1], by_zsk, terms),
        (data, by_zsk, replace(terms, original_ttl=299)),
        (data, by_ksk, terms),
    ):
        response = watched.response(Message(0, [*records_, sign(records_, key, said)]))
        assert watched.in_full(response, NOW)[0].verdict is Verdict.SECURE
        assert watched.in_short(response, NOW) is None


def test_a_view_verifies_with_what_its_validations_have_left_and_asks_nothing() -> None:
    instant = Instant(0.0, float(NOW))
    view = View("here", world().anchors, Policy(), instant)
    judged: list[Judged] = []
    dialogues = Dialogues(instant)
    dialogues.start(view.judge(WWW, A), judged.append)
    while posed := dialogues.take_posed():
        for one in posed:
            dialogues.take(one.ticket, honest(Ask(one.question.name, one.question.rdtype)))
    content = content_of(judged[0].result, honest(Ask(WWW, A)))
    watched = Watched(WWW, A)
    response = watched.response(watched.signed_anew(NOW - 60, NOW + DAY_S))

    assert content == watched.content
    assert view.resigned(WWW, A, response, content) == watched.in_short(response, NOW)
    instant.at += 301
    assert view.resigned(WWW, A, response, content) is None, "the chain is no longer fresh"
    instant.at -= 301
    view.forget()
    assert view.resigned(WWW, A, response, content) is None, "nothing is known any more"
