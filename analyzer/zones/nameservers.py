"""The delegation: name servers that lead nowhere, that parent and child name differently, and that changed.

Source: RFC 1034 §4.2.2.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from analyzer.detected import Drift, drift_of
from analyzer.zones.faults import Look
from analyzer.zones.registrable import registrable_domain
from analyzer.zones.serials import PARENT_TRANSFER, Serials
from analyzer.zones.sights import answering, said_by, side_of, who
from schemas.codes import Code
from schemas.messages import NAME_ABSENT, ServerSight, ServerStatus, ZoneSweep

MOST_TOLD = 16
SEEN_OFTEN = 2
"""Sweeps after which a delegation is no longer one that was seen once."""
NsSet = tuple[str, ...]


def ns_set(names: Iterable[str]) -> NsSet:
    """Return NS names so that equal sets are equal: no order, no case."""
    return tuple(sorted({name.casefold() for name in names}))


def look_for_dangling(sweep: ZoneSweep) -> Iterable[Look]:
    """Report a delegation of which every server says that it does not know the zone, and NS names that do not exist.

    Both wait for whoever registers them. Silence is no such statement.
    """
    asked = side_of(sweep)
    all_lame, some_answer = bool(asked) and all(map(is_lame, asked)), bool(answering(asked))
    for sight in asked:
        if all_lame or some_answer:
            detail = f"{who(sight)} does not know the zone, as no server of the delegation does: {said_by(sight)}"
            yield _look(Code.DELEGATION_DANGLING, sweep.zone, sight.server, all_lame, detail)
    for name in sorted({sight.name.casefold() for sight in sweep.servers if not sight.of_parent and sight.name}):
        yield _look(Code.DELEGATION_DANGLING, sweep.zone, name, False, "")
    for text in sweep.unresolved:
        name, _, why = text.partition(": ")
        if why.startswith(NAME_ABSENT):
            detail = f"the name server {name} does not exist: whoever registers it answers for {sweep.zone}"
            yield _look(Code.DELEGATION_DANGLING, sweep.zone, name.casefold(), True, detail)


def is_lame(sight: ServerSight) -> bool:
    """Return whether a server says that the zone is none of its zones; SERVFAIL says only that it is broken."""
    return sight.status is ServerStatus.LAME or (sight.status is ServerStatus.REFUSES and "REFUSED" in sight.detail)


def look_for_mismatch(sweep: ZoneSweep, agreed: NsSet, serials: Serials) -> Iterable[Look]:
    """Report servers whose NS set no server of the parent gives; addresses (glue) are not compared.

    ``agreed`` is what most servers of the parent gave last: one that differs alone makes no child differ.
    """
    given = {ns_set(one.ns) for one in answering(side_of(sweep, parent=True)) if one.ns}
    for sight in answering(side_of(sweep)):
        if not sight.ns or not given or serials.lags(sight.server):
            continue
        own = ns_set(sight.ns)
        is_bad = own != agreed and own not in given
        detail = f"{who(sight)} names {', '.join(own)}; the parent names {', '.join(agreed or min(given))}"
        look = _look(Code.NS_PARENT_CHILD_MISMATCH, sweep.zone, sight.server, is_bad, detail)
        yield msgspec.structs.replace(look, passes_within=PARENT_TRANSFER)


def _look(code: Code, zone: str, server: str, is_bad: bool, detail: str) -> Look:
    return Look(code=code, zone=zone, server=server, is_bad=is_bad, detail=detail)


class Strayed(msgspec.Struct, frozen=True):
    """A server of the parent that says otherwise than the delegation: what it says, and since when without pause."""

    ns: NsSet
    since_at: datetime


class Delegation(msgspec.Struct, frozen=True, kw_only=True):
    """What a zone's delegation is, and what each server of the parent said of it last.

    ``ns`` is what more than half of them say: a silent one keeps its word, so that one that flaps never decides alone.
    ``told`` are the sets that some said, and that were told. ``left`` is what the delegation was before: who still
    says that is late. ``backed_by`` and ``asked`` are how many of how many servers said ``ns`` when most of them did,
    and ``sweeps`` in how many sweeps any did, as far as that matters: a delegation that few servers said, or that was
    seen once, may be the false one itself.
    """

    ns: NsSet = ()
    left: NsSet = ()
    backed_by: int = SEEN_OFTEN
    asked: int = SEEN_OFTEN
    sweeps: int = SEEN_OFTEN
    words: dict[str, NsSet] = {}
    strayed: dict[str, Strayed] = {}
    told: tuple[NsSet, ...] = ()


def follow_delegation(before: Delegation, sweep: ZoneSweep, at: datetime) -> tuple[Delegation, list[Drift]]:
    """Return the delegation after a sweep, and what changed.

    A change is one as soon as more than half of the parent's servers say it, or once one of them alone keeps to it for
    longer than a transfer takes: whoever holds one server of a parent holds a share of the answers.
    """
    parents = side_of(sweep, parent=True)
    heard = {one.server: ns_set(one.ns) for one in answering(parents) if one.ns}
    present = {one.server for one in sweep.servers if one.of_parent}
    words = {server: word for server, word in before.words.items() if server in present} | heard
    fallback = before.ns or _likeliest(words, sweep)
    agreed = next((one for one in set(words.values()) if 2 * list(words.values()).count(one) > len(words)), fallback)
    backed_by, doubt = len(_who_says(heard, agreed)), _doubt(before)
    if not before.ns or agreed != before.ns:
        drifts = [_change(sweep.zone, before.ns, agreed, _who_says(heard, agreed), doubt=doubt)] if before.ns else []
        now = Delegation(ns=agreed, words=words, left=before.ns, backed_by=backed_by, asked=len(present), sweeps=1)
        return msgspec.structs.replace(now, strayed=_stray(now, heard, at)), drifts
    strayed = _stray(before, heard, at)
    told, drifts = list(before.told), []
    for word in sorted({one.ns for one in strayed.values() if at - one.since_at >= PARENT_TRANSFER}):
        if word not in told and len(told) < MOST_TOLD:
            told.append(word)
            saying = tuple(server for server in _who_says(heard, word) if server in strayed)
            drifts.append(_change(sweep.zone, before.ns, word, saying, some=len(words), doubt=doubt))
    after = msgspec.structs.replace(before, words=words, strayed=strayed, told=tuple(told))
    if backed_by:
        after = msgspec.structs.replace(after, sweeps=min(before.sweeps + 1, SEEN_OFTEN))
    if backed_by > before.backed_by:
        after = msgspec.structs.replace(after, backed_by=backed_by, asked=len(present))
    return after, drifts


def _likeliest(words: Mapping[str, NsSet], sweep: ZoneSweep) -> NsSet:
    """Return what a delegation is taken for at the first look, where no majority says: what the zone itself names."""
    named = {ns_set(one.ns) for one in answering(side_of(sweep)) if one.ns}
    return min(words.values(), key=lambda word: (word not in named, word), default=())


def _doubt(before: Delegation) -> str:
    """Return why what the delegation was may have been false itself; empty where nothing says so."""
    if 2 * before.backed_by <= before.asked:
        few = f"only {before.backed_by} of {before.asked} servers of the parent"
        return f"; what it was was said by {few}, and may be the false one"
    return "; what it was was seen in one sweep only, and may be the false one" if before.sweeps < SEEN_OFTEN else ""


def _stray(before: Delegation, heard: Mapping[str, NsSet], at: datetime) -> dict[str, Strayed]:
    """Return who says otherwise than the delegation, and said the same as it before.

    Where few servers said what it is, also who says otherwise from the first look on.
    """
    found = dict(before.strayed)
    for server, word in heard.items():
        earlier = found.pop(server, None)
        is_doubtful = 2 * before.backed_by <= before.asked and word != before.left
        has_left = before.words.get(server) == before.ns or is_doubtful
        if word != before.ns and (earlier is not None or has_left):
            found[server] = Strayed(word, earlier.since_at if earlier is not None else at)
    return found


def _who_says(heard: Mapping[str, NsSet], word: NsSet) -> tuple[str, ...]:
    return tuple(sorted(server for server, said in heard.items() if said == word))


def _change(zone: str, before: NsSet, after: NsSet, servers: Sequence[str], *, some: int = 0, doubt: str = "") -> Drift:
    gone, new = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    steps = [f"{', '.join(names)} {verb}" for names, verb in ((gone, "went"), (new, "came")) if names]
    where = f"; only {len(servers)} of {some} servers of the parent say so" if some else ""
    detail = f"{zone}: {_kind(before, after)}: {'; '.join(steps)}{where}{doubt}"
    return drift_of(Code.NS_SET_CHANGED, zone, detail, ", ".join(before), ", ".join(after), servers=tuple(servers))


def _kind(before: NsSet, after: NsSet) -> str:
    """Return what sort of change it is: whose servers the zone moved to, by the names' registrable domains."""
    old, new = _providers(before), _providers(after)
    if old == new:
        return "name servers changed within " + ", ".join(sorted(old))
    if old & new:
        left, came = ", ".join(sorted(old - new)) or "nobody", ", ".join(sorted(new - old)) or "nobody"
        return f"provider partly moved: {left} left, {came} came"
    return f"provider moved from {', '.join(sorted(old))} to {', '.join(sorted(new))}"


def _providers(names: NsSet) -> set[str]:
    return set(map(registrable_domain, names))
