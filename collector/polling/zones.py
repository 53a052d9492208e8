"""What was told of each zone, so that it is told once however many names lie below, and again when it changes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from collector.dnssec.judgement import AnswerFacts, ZoneFacts
from collector.dnssec.signatures import Signers
from collector.polling.copies import Copies
from collector.polling.denials import Denials
from collector.polling.flood import Flood
from schemas.judgement import ChainLink, Judgement
from schemas.messages import Evidence, Observation, Occasion, Signing, ZoneObservation, utc
from schemas.wire import digest_of
from schemas.zone import content_of, is_current, is_renewed

ZoneAtVantage = tuple[str, str]
MOST_UNHELD = 10_000
"""So many zones are remembered that no name refers to at the moment: an alias may lead back."""
MOST_SIGNINGS = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """How the zones of one validation are referred to: ids and evidence of their observations, and what is new.

    ``is_withheld``: a zone is another one than was told, and is to be looked at until that may be told.
    """

    ids: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    news: tuple[ZoneObservation, ...] = ()
    is_withheld: bool = False


@dataclass(slots=True)
class _Told:
    """What was told of a zone last, when (monotonic), and what was seen of it since.

    ``link`` is of the node of the chain that showed it last, signatures included: a node is made once, and is part of
    the chains of many names. ``keys`` and ``ds`` are the copies that were seen of these sets.
    """

    message: ZoneObservation
    link: ChainLink
    content: str
    told_at: float
    keys: Copies
    ds: Copies
    signings: dict[Signers, int]
    denials: Denials
    flood: Flood | None = None

    def owes(self, now: float) -> bool:
        """Return whether it must be told that changes were withheld, or that there are none any more."""
        return self.flood is not None and (self.flood.owes or self.flood.is_over(now))

    def shows(self, facts: ZoneFacts) -> bool:
        """Return whether the same node shows the zone again, its data signed and denied in ways that are known."""
        if facts.link is not self.link or not self.denials.is_known(facts.denial, facts.spans):
            return False
        return facts.signings.keys() <= self.signings.keys()

    def see(self, facts: ZoneFacts, at: datetime) -> None:
        """Take in what another validation shows of the same key set and DS set."""
        for signers, until in facts.signings.items():
            self.signings[signers] = max(until, self.signings.get(signers, 0))
        self.denials = self.denials.see(facts.denial, facts.spans)
        now = int(at.timestamp())
        self.keys = self.keys.see(facts.key_ttl_s, facts.keys_until, now)
        self.ds = self.ds.see(facts.ds_ttl_s, facts.ds_until, now)


class ZonesTold:
    """The last observation of each zone as each vantage sees it."""

    def __init__(self, refresh_s: float, walked: Collection[str] = ()) -> None:
        """A zone that stays the same is told again after ``refresh_s``; ``walked`` vantages ask the zones' servers."""
        self._refresh_s, self._walked = refresh_s, walked
        self._told: dict[ZoneAtVantage, _Told] = {}
        self._holders: dict[ZoneAtVantage, int] = {}
        self._unheld: dict[ZoneAtVantage, None] = {}

    def see(self, facts: Sequence[ZoneFacts], evidence: Evidence, vantage: str, at: datetime, now: float) -> Seen:
        """Take in the zones of a validation; ``now`` is monotonic, ``evidence`` that of the whole validation."""
        ids: dict[str, str] = {}
        digests: dict[str, str] = {}
        news, is_withheld = [], False
        for one in (self._without_children(fact, vantage) for fact in facts):
            zone = one.link.zone
            known = self._told.get((zone, vantage))
            is_fresh = known is not None and now - known.told_at < self._refresh_s and not known.owes(now)
            if known is not None and is_fresh and known.shows(one):
                known.see(one, at)
                ids[zone], digests[zone] = known.message.id, known.message.evidence.digest
                continue
            signings = _merged(known.signings if known is not None else {}, one.signings, one.link)
            denials = (known.denials if known is not None else Denials()).see(one.denial, one.spans)
            message = _unproven(one, evidence, vantage, at, known, signings, denials)
            message = msgspec.structs.replace(message, from_servers=vantage in self._walked)
            content = content_of(message)
            occasion = self._occasion(known, message, content, now)
            flood = known.flood if known is not None else None
            if known is not None and occasion is Occasion.CHANGE:
                flood = known.flood = known.flood or Flood()
                if not _may_tell(flood, known.message, message, content, now):
                    ids[zone], digests[zone], is_withheld = known.message.id, known.message.evidence.digest, True
                    continue
                remarks = flood.name_withheld(zone, f"{zone} DNSKEY", now)
                message = msgspec.structs.replace(message, remarks=(*message.remarks, *remarks))
            if occasion is None and known is not None:
                if message.windows == known.message.windows:
                    known.link = one.link
                message = known.message
                known.signings = signings
                known.see(one, at)
            else:
                above = tuple(digests[name] for name in _above(one, facts) if name in digests)
                message = _with_evidence(message, one, above, evidence, content, occasion or Occasion.FIRST)
                kept = {signers: until for signers, until in signings.items() if is_current(signers, message.link)}
                keys, ds = (known.keys, known.ds) if known is not None else (Copies(), Copies())
                before = known.denials if known is not None else Denials()
                told = _Told(message, one.link, content, now, keys, ds, kept, before, flood)
                self._told[zone, vantage] = told
                told.see(one, at)
                news.append(message)
            ids[zone], digests[zone] = message.id, message.evidence.digest
        return Seen(tuple(ids.values()), tuple(digests.values()), tuple(news), is_withheld)

    def note_signing(self, zone: str, vantage: str, signers: Signers, until: int) -> None:
        """Note that data of a zone are still signed so, in copies that caches keep until an instant."""
        known = self._told.get((zone, vantage))
        if known is not None and signers in known.signings:
            known.signings[signers] = max(until, known.signings[signers])

    def _without_children(self, one: ZoneFacts, vantage: str) -> ZoneFacts:
        """Return what is the zone's own: unsigned data below a cut that was told before are those of another zone."""
        if not one.unsigned or any(not self._is_below_cut(owner, one.link.zone, vantage) for owner in one.unsigned):
            return one
        return replace(one, signings={signers: until for signers, until in one.signings.items() if signers})

    def _is_below_cut(self, name: str, zone: str, vantage: str) -> bool:
        while name not in (zone, ""):
            if (name, vantage) in self._told:
                return True
            name = name.partition(".")[2]
        return False

    def _occasion(self, known: _Told | None, message: ZoneObservation, content: str, now: float) -> Occasion | None:
        if known is None:
            return Occasion.FIRST
        is_same = known.content == content and not known.owes(now)
        if not is_same or is_renewed(known.message.windows, message.windows, message.observed_at):
            return Occasion.CHANGE
        return Occasion.REFRESH if now - known.told_at >= self._refresh_s else None

    def forget(self, zones: Iterable[str], vantage: str) -> None:
        """Have zones told again: what was told of them did not arrive."""
        for zone in zones:
            self._told.pop((zone, vantage), None)

    def hold(self, zones: Iterable[str], vantage: str) -> None:
        """Note that a name refers to these zones; ``release`` them once it does no longer."""
        for zone in zones:
            self._holders[zone, vantage] = self._holders.get((zone, vantage), 0) + 1
            self._unheld.pop((zone, vantage), None)

    def release(self, zones: Iterable[str], vantage: str) -> None:
        """Note that a name does not refer to these zones any more."""
        for zone in zones:
            left = self._holders.get((zone, vantage), 0) - 1
            if left > 0:
                self._holders[zone, vantage] = left
            else:
                self._holders.pop((zone, vantage), None)
                self._unheld[zone, vantage] = None
        while len(self._unheld) > MOST_UNHELD:  # an alias that leads elsewhere at each poll must not fill the memory
            oldest = next(iter(self._unheld))
            del self._unheld[oldest]
            self._told.pop(oldest, None)

    def drop_unheld(self) -> None:
        """Forget the zones to which no name refers."""
        for key in self._unheld:
            self._told.pop(key, None)
        self._unheld.clear()


def _may_tell(flood: Flood, told: ZoneObservation, message: ZoneObservation, content: str, now: float) -> bool:
    """Return whether a zone's change may be told; what it shows are the keys and DS records that were not told."""
    link, before = message.link, told.link
    shown = [f"key {key.tag} {key.digest[:16]}" for key in link.keys if key not in before.keys]
    shown += [f"DS {ds}" for ds in link.ds if ds not in before.ds]
    reasons = ({one.code for one in told.reasons}, {one.code for one in message.reasons})
    of_verdict = link.verdict is not before.verdict or reasons[0] != reasons[1]
    return flood.may_tell(now, content, shown, of_verdict=of_verdict)


def _above(one: ZoneFacts, facts: Sequence[ZoneFacts]) -> list[str]:
    """Return the zones above one, root first."""
    parents = {fact.link.zone: fact.parent for fact in facts}
    found: list[str] = []
    zone = one.parent
    while zone and zone not in found:
        found.append(zone)
        zone = parents.get(zone, "")
    return found[::-1]


def _merged(known: Mapping[Signers, int], seen: Mapping[Signers, int], link: ChainLink) -> dict[Signers, int]:
    """Return how a zone's data are signed by all that was seen; of a zone that signs in ever new ways not all.

    Those stay that keys of now make, and of these the ones that caches keep for longest: made-up ones push none out.
    """
    merged = dict(known)
    for signers, until in seen.items():
        merged[signers] = max(until, merged.get(signers, 0))
    if len(merged) > MOST_SIGNINGS:
        ranked = sorted(merged, key=lambda signers: (is_current(signers, link), merged[signers]))
        for signers in ranked[:-MOST_SIGNINGS]:
            del merged[signers]
    return merged


def _unproven(
    one: ZoneFacts,
    evidence: Evidence,
    vantage: str,
    at: datetime,
    known: _Told | None,
    signings: Mapping[Signers, int],
    denials: Denials,
) -> ZoneObservation:
    """Return what is to be said of a zone, before its own evidence is cut out: mostly it was said already."""
    return ZoneObservation(
        id="",
        zone=one.link.zone,
        vantage=vantage,
        occasion=Occasion.FIRST,
        observed_at=at,
        parent=one.parent,
        link=one.link,
        reasons=one.reasons,
        remarks=one.remarks,
        windows=one.windows,
        key_ttl_s=one.key_ttl_s,
        ds_ttl_s=one.ds_ttl_s,
        signings=tuple(Signing(keys=keys, cached_until=utc(until)) for keys, until in sorted(signings.items())),
        denial=denials.last,
        denials=tuple(sorted(denials.ways, key=str)),
        spans=tuple(denials.spans),
        turned=tuple(sorted(denials.turned)),
        earlier_keys_until=utc(known.keys.others_until) if known is not None and known.keys.until else None,
        earlier_ds_until=utc(known.ds.others_until) if known is not None and known.ds.until else None,
        keys_until=utc(one.keys_until) if one.keys_until else None,
        ds_until=utc(one.ds_until) if one.ds_until else None,
        evidence=evidence,
    )


def _with_evidence(
    message: ZoneObservation,
    one: ZoneFacts,
    above: tuple[str, ...],
    evidence: Evidence,
    content: str,
    occasion: Occasion,
) -> ZoneObservation:
    zone = one.link.zone
    asked = "DNSKEY" if one.link.keys else "DS"
    own = msgspec.structs.replace(
        evidence,
        digest=digest_of(zone, asked, evidence.at.isoformat(), *above, *one.messages),
        name=zone,
        type=asked,
        messages=one.messages,
        zones=above,
    )
    identity = digest_of(zone, message.vantage, content, message.observed_at.isoformat())[:32]
    return msgspec.structs.replace(message, id=identity, occasion=occasion, evidence=own)


def as_observed(judgement: Judgement, facts: Sequence[ZoneFacts], answer: AnswerFacts) -> Judgement:
    """Return a judgement as an observation has it: the chain by name and verdict only, and its own remarks."""
    chain = tuple(ChainLink(one.link.zone, one.link.verdict) for one in facts)
    of_zones = {(remark.code, remark.zone, remark.rrset) for one in facts for remark in one.remarks}
    own = {(remark.code, remark.zone, remark.rrset) for remark in answer.remarks}
    remarks = tuple(
        remark
        for remark in judgement.remarks
        if (key := (remark.code, remark.zone, remark.rrset)) in own or key not in of_zones
    )
    return msgspec.structs.replace(judgement, chain=chain, remarks=remarks)


def observation_of(
    judgement: Judgement, occasion: Occasion, answer: AnswerFacts, seen: Seen, evidence: Evidence, at: datetime
) -> Observation:
    """Return the observation of an endpoint; ``evidence`` is that of the whole validation."""
    own = msgspec.structs.replace(
        evidence,
        digest=digest_of(judgement.name, judgement.type, evidence.at.isoformat(), *seen.evidence, *answer.messages),
        messages=answer.messages,
        zones=seen.evidence,
    )
    return Observation(
        id=digest_of(judgement.name, judgement.type, judgement.vantage, at.isoformat())[:32],
        occasion=occasion,
        observed_at=at,
        judgement=msgspec.structs.replace(judgement, evidence=own.digest),
        zones=seen.ids,
        signed=answer.signed,
        evidence=own,
    )
