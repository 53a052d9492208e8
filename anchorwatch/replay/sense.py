"""Whether everything that a scenario names is there: zones, keys, servers, vantages, receivers, fields."""

from collections.abc import Iterable

import dns.exception
import dns.name
import dns.rdatatype
from dns.rdatatype import RdataType

from anchorwatch.configuration.documents import Document
from anchorwatch.replay import language
from anchorwatch.replay.faults import RECORD_FIELDS, SIGNATURE_FIELDS, WHOLE
from anchorwatch.replay.scenario import Expected, Scenario, Step
from anchorwatch.replay.setting import absolute, algorithm_number, parse_record, server_names, texts
from anchorwatch.replay.spelling import nearest
from anchorwatch.replay.times import parse_signed_span, parse_span
from anchorwatch.replay.zones import ENTRY_ROLES, records_of
from schemas.catalogue import Change

ONE_PLACE = (
    language.Strip,
    language.Stale,
    language.CatchUp,
    language.Refuse,
    language.Restore,
    language.ServerDown,
    language.ServerUp,
)


DIGESTS = ("SHA1", "SHA256", "SHA384")


class _Known:
    """What a scenario has, by kind."""

    def __init__(self, scenario: Scenario) -> None:
        self.zones = {plan.name.to_text(): plan for plan in scenario.zones}
        self.keys = {name: set(plan.keys) for name, plan in self.zones.items()}
        self.servers = {name for plan in scenario.zones for name in server_names(plan)}
        for step in scenario.steps:
            if isinstance(step.word, language.NewKey) and is_name(step.word.zone):
                self.keys.setdefault(absolute(step.word.zone), set()).add(step.word.key)
            if isinstance(step.word, language.AddServer) and is_name(step.word.server):
                self.servers.add(absolute(step.word.server))
        self.vantages = set(scenario.vantages)
        self.receivers = {receiver.name for receiver in scenario.alerts.receivers}


def is_name(text: str) -> bool:
    """Return whether a text is a domain name."""
    try:
        dns.name.from_text(text)
    except (dns.exception.DNSException, ValueError, UnicodeError):
        return False
    return True


def check_sense(scenario: Scenario, document: Document) -> None:
    """Note everything that names what is not there."""
    known = _Known(scenario)
    _check_plans(scenario, document)
    for key in scenario.trust_anchors:
        if key not in known.keys["."]:
            document.problem("trust_anchors", f"the root has no key {key!r}{nearest(key, known.keys['.'])}")
    said: set[str] = set()
    for step in scenario.steps:
        for sentence in _wrong_in_step(step, known):
            said.add(f"{document.source}:{step.line}: {step.name}: {sentence}")
        if step.at > scenario.lasts_s:
            said.add(f"{document.source}:{step.line}: {step.name}: it lies behind the end of the scenario")
    for expected in scenario.expected:
        for sentence in _wrong_in_expectation(expected, known, scenario):
            said.add(f"{document.source}:{expected.line}: {expected.name}: {sentence}")
    document.problems += sorted(said, key=lambda text: int(text.removeprefix(f"{document.source}:").split(":")[0]))


def _check_plans(scenario: Scenario, document: Document) -> None:
    for plan in scenario.zones:
        path = f"zones.{plan.name.to_text().removesuffix('.')}"
        path = path if path in document.lines else f"zones.{plan.name.to_text()}"
        for key in plan.keys.values():
            try:
                algorithm_number(key.algorithm or plan.section.algorithm)
            except ValueError as error:
                document.problem(f"{path}.keys", str(error))
            if key.collides_with and key.collides_with not in plan.keys:
                document.problem(f"{path}.keys", f"collides_with: the zone has no key {key.collides_with!r}")
            elif key.collides_with and _kind(plan.keys[key.collides_with]) != _kind(key):
                document.problem(f"{path}.keys", "collides_with: both keys have one algorithm and one kind of role")
        for sentence in _wrong_digests(plan.section.digests):
            document.problem(f"{path}.digests", sentence)
        if plan.section.signed and not plan.keys:
            document.problem(path, "a signed zone has keys; or say 'signed: false'")
        for record in plan.records:
            if sentence := wrong_record(record, plan.name):
                document.problem(f"{path}.records", sentence)
        spans = [
            getattr(part, name) for part in (plan.section.ttl, plan.section.soa) for name in part.__struct_fields__
        ]
        spans += [getattr(plan.section.signing, name) for name in plan.section.signing.__struct_fields__]
        for span in spans:
            if span not in ("", "never") and (sentence := _wrong_span(span)):
                document.problem(path, sentence)
    for name, vantage in scenario.vantages.items():
        for span in (vantage.max_ttl, vantage.latency):
            if sentence := _wrong_span(span):
                document.problem(f"vantages.{name}", sentence)


def _wrong_digests(digests: tuple[str, ...] | str) -> Iterable[str]:
    for digest in texts(digests):
        if digest.upper() not in DIGESTS:
            yield f"{digest!r} is no digest of a DS; known: {', '.join(DIGESTS)}"


def _kind(key: language.KeySection) -> tuple[int | str, bool]:
    return key.algorithm, key.role in ENTRY_ROLES


def _wrong_span(span: object) -> str:
    try:
        parse_span(span)
    except ValueError as error:
        return str(error)
    return ""


def wrong_record(line: str, origin: dns.name.Name) -> str:
    """Return why a line is no record, empty where it is one."""
    try:
        owner, _ttl, rdtype, data = parse_record(line)
        dns.name.from_text(owner, origin)
        records_of(origin, RdataType.from_text(rdtype), [data])
    except (dns.exception.DNSException, ValueError) as error:
        return str(error) if "is no record" in str(error) else f"{line!r} is no record: {error}"
    return ""


def _wrong_in_step(step: Step, known: _Known) -> Iterable[str]:
    word = step.word
    zone = getattr(word, "zone", "")
    if zone:
        yield from _wrong_zone(zone, known)
    if not is_name(zone or "."):
        return
    yield from _wrong_keys(word, absolute(zone) if zone else "", known)
    yield from _wrong_places(word, known)
    for field in ("ago", "lasts", "takes", "every", "after", "ttl"):
        if (span := getattr(word, field, None)) is not None and (sentence := _wrong_span(span)):
            yield f"{field}: {sentence}"
    for field in ("inception", "expiration", "by") if not hasattr(word, "why") else ():
        if (span := getattr(word, field, None)) is not None:
            try:
                parse_signed_span(span)
            except ValueError as error:
                yield f"{field}: {error}"
    if isinstance(word, language.NewKey):
        try:
            algorithm_number(word.algorithm or 13)
        except ValueError as error:
            yield str(error)
    yield from _wrong_data(word)


def _wrong_zone(zone: str, known: _Known) -> Iterable[str]:
    if not is_name(zone):
        yield f"{zone!r} is no name"
    elif absolute(zone) not in known.zones:
        yield f"there is no zone {zone!r}{nearest(absolute(zone), known.zones)}"


def _wrong_keys(word: language.Word, zone: str, known: _Known) -> Iterable[str]:
    keys = (getattr(word, "key", ""), *texts(getattr(word, "keys", ())))
    there = known.keys.get(zone, set())
    for key in keys:
        if key and key not in there:
            yield f"the zone {zone} has no key {key!r}{nearest(key, there)}"


def _wrong_places(word: language.Word, known: _Known) -> Iterable[str]:
    servers = (getattr(word, "server", ""), *texts(getattr(word, "servers", ())))
    if isinstance(word, language.SetNs | language.AddServer):
        servers = ()  # a delegation may name servers that are not there
    for server in servers:
        if server and (not is_name(server) or absolute(server) not in known.servers):
            yield f"there is no server {server!r}{nearest(server, known.servers)}"
    vantage = getattr(word, "vantage", "")
    if vantage and vantage not in known.vantages:
        yield f"there is no vantage {vantage!r}{nearest(vantage, known.vantages)}"
    receiver = getattr(word, "receiver", "")
    if receiver and receiver not in known.receivers:
        yield f"there is no receiver {receiver!r}{nearest(receiver, known.receivers)}"
    if isinstance(word, ONE_PLACE):
        named = [bool(getattr(word, field, "")) for field in ("server", "vantage")]
        named.append(isinstance(word, language.ServerDown | language.ServerUp) and bool(word.zone))
        if named.count(True) != 1:
            yield "one server or one vantage is expected"


def _wrong_data(word: language.Word) -> Iterable[str]:
    if isinstance(word, language.Answer | language.Lie):
        if not is_name(word.name):
            yield f"{word.name!r} is no name"
            return
        try:
            records_of(dns.name.root, RdataType.from_text(word.type), texts(word.records))
        except (dns.exception.DNSException, ValueError) as error:
            yield f"{', '.join(texts(word.records)) or word.type!r} are no records of type {word.type}: {error}"
    if isinstance(word, language.AddServer):
        for line in word.answers:
            if sentence := wrong_record(line, dns.name.root):
                yield sentence
    if isinstance(word, language.DeclareChange):
        for one in texts(word.what):
            if one not in set(Change):
                yield f"{one!r} is no kind of change{nearest(one, Change)}; known: {', '.join(Change)}"
    if isinstance(word, language.SetDs):
        yield from _wrong_digests(word.digests)
        try:
            records_of(dns.name.root, RdataType.DS, texts(word.records))
        except (dns.exception.DNSException, ValueError) as error:
            yield f"{', '.join(texts(word.records))} are no DS records: {error}"
    if isinstance(word, language.Corrupt | language.Expire):
        yield from _wrong_fault(word)


def _wrong_fault(word: language.Corrupt | language.Expire) -> Iterable[str]:
    try:
        _owner, rdtype = parse_rrset(word.rrset)
    except ValueError as error:
        yield str(error)
        return
    if isinstance(word, language.Expire):
        return
    of_type = RECORD_FIELDS.get(rdtype or "", ())
    known = (*WHOLE[:3], *SIGNATURE_FIELDS, *(name for name in of_type if name not in SIGNATURE_FIELDS))
    if word.field not in known:
        hint = nearest(word.field, known)
        yield f"{rdtype or 'an RRset'} has no field {word.field!r}{hint}; known: {', '.join(known)}"
    elif word.field == "ttl" and not isinstance(word.to, int):
        yield "ttl: 'to' is a number of seconds"
    elif word.field == "types" and not isinstance(word.to, str):
        yield "types: 'to' is a list of types in one text, such as 'A RRSIG NSEC'"
    elif word.field == "records" and not (word.to is None or isinstance(word.to, str | list)):
        yield "records: 'to' is a list of record data"


def parse_rrset(text: str) -> tuple[str | None, str | None]:
    """Return owner and type of ``www A``, ``DS`` (every owner) or ``*`` (everything), None for every one.

    Raises:
        ValueError: another form.
    """
    words = text.split()
    if words in ([], ["*"]):
        return None, None
    owner, rdtype = (None, words[0]) if len(words) == 1 else (words[0], words[1])
    try:
        dns.rdatatype.from_text(rdtype)
    except (dns.exception.DNSException, ValueError):
        raise ValueError(f"{text!r} names no RRset: 'www A', a type alone, or '*' is expected") from None
    if len(words) > 2:
        raise ValueError(f"{text!r} names no RRset: 'www A', a type alone, or '*' is expected")
    return owner, rdtype.upper()


def _wrong_in_expectation(expected: Expected, known: _Known, scenario: Scenario) -> Iterable[str]:
    word = expected.word
    for vantage in (getattr(word, "vantage", ""),):
        if vantage and vantage not in known.vantages:
            yield f"there is no vantage {vantage!r}{nearest(vantage, known.vantages)}"
    receiver = getattr(word, "receiver", "")
    if receiver and receiver not in known.receivers:
        yield f"there is no receiver {receiver!r}{nearest(receiver, known.receivers)}"
    if isinstance(word, language.Pages) and word.count is None and word.at_most is None and word.by is None:
        yield "say 'count', 'at_most' or 'by'"
    for name, at in expected.times.items():
        if at > scenario.lasts_s:
            yield f"{name} lies behind the end of the scenario"
