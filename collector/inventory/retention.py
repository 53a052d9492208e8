"""Less is suspicious: whether what a source says now replaces its last good rows. Pure.

A source that comes back empty, or that lost more than ``max_shrink`` of its 7-day maximum (and at least 3 rows), keeps
its last good rows until a person accepts the loss, or until it stayed the same for ``accept_after``. Time alone never
accepts an empty source, nor the loss of a critical identity. A row that breaks keeps its last good version by its id.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from collector.inventory.rows import Broken, Inventory, document_of, joined
from schemas.messages import CRITICALITY_ORDER, Endpoint, Identity
from schemas.wire import digest_of

MAXIMUM_OVER = timedelta(days=7)
FEWEST_LOST = 3
MOST_NAMED = 5
MOST_ACCEPTANCES = 50


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """That a person accepted what a source says; ``digest`` is of the rows that they saw."""

    digest: str
    who: str
    why: str
    at: datetime


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What a source says and is not believed: ``stayed_s`` is how long we saw it say the same."""

    digest: str
    since: datetime
    stayed_s: float = 0.0


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of one source, over restarts.

    identities: its last good rows; ``is_known`` says whether there ever were any that counted.
    maxima: the most rows on each day, as ISO dates.
    accepted: the digest of the rows if a loss was accepted with them: a crash between that and telling others undoes
        nothing; empty once other rows counted.
    file_digest, file_mtime_ns: of the file that the last good rows were read from.
    """

    path: str
    version: int = 1
    is_known: bool = False
    identities: tuple[Identity, ...] = ()
    maxima: dict[str, int] = {}
    pending: Pending | None = None
    accepted: str = ""
    acceptances: tuple[Acceptance, ...] = ()
    file_digest: str = ""
    file_mtime_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a source may be gone at once, and how long a greater loss must stay before it is believed."""

    max_shrink: float = 0.2
    accept_after_s: float = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a source would lose: identities (most critical first), or hosts of identities that stay."""

    before: int
    after: int
    lost: tuple[Identity, ...]
    lost_hosts: int
    is_empty: bool
    is_suspicious: bool

    @property
    def needs_person(self) -> bool:
        """Return whether time alone never accepts it."""
        return self.is_empty or any(one.criticality == "critical" for one in self.lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What comes of one look at a source.

    kept: to be remembered; ``kept.identities`` are to be watched.
    shrunk, stale: sentences, empty where there is nothing to tell.
    removed: the ids that are gone for good with this look.
    acceptance: who accepted a loss with this look.
    """

    kept: Kept
    shrunk: str = ""
    stale: str = ""
    removed: tuple[str, ...] = ()
    acceptance: Acceptance | None = None


def judge_source(
    kept: Kept,
    inventory: Inventory,
    limits: Limits,
    *,
    now: datetime,
    elapsed_s: float = 0.0,
    elsewhere: Collection[str] = (),
    acceptance: Acceptance | None = None,
) -> Judged:
    """Decide what is watched of a source that could be read.

    ``elapsed_s`` is how long ago it was looked at last, 0 where nobody knows; ``elsewhere`` are the ids that other
    sources have; ``acceptance`` is the last word of a person on this source.
    """
    rows, stale = repair(kept, inventory, elsewhere, limits, now)
    digest = digest_of_rows(rows)
    loss = measure_loss(kept, rows, limits, now=now, elsewhere=elsewhere)
    if not loss.is_suspicious:
        return _accepted(kept, rows, now, stale, accepted=kept.accepted if digest == kept.accepted else "")
    if digest == kept.accepted:
        return _accepted(kept, rows, now, stale, accepted=digest, shrank=True)
    if acceptance is not None and acceptance.digest == digest:
        return _accepted(kept, rows, now, stale, accepted=digest, shrank=True, acceptance=acceptance)
    pending = kept.pending
    if pending is None or pending.digest != digest:
        pending = Pending(digest=digest, since=now)
    else:
        pending = msgspec.structs.replace(pending, stayed_s=pending.stayed_s + max(elapsed_s, 0.0))
    if kept.is_known and not loss.needs_person and pending.stayed_s >= limits.accept_after_s:
        why = f"it stayed the same for {limits.accept_after_s:g} s"
        by_time = Acceptance(digest=digest, who="accept_after", why=why, at=now)
        return _accepted(kept, rows, now, stale, accepted=digest, shrank=True, acceptance=by_time)
    kept = msgspec.structs.replace(kept, pending=pending)
    return Judged(kept=kept, shrunk=describe_loss(kept, loss, limits), stale=stale)


def keep_unread(kept: Kept) -> Kept:
    """Return what is remembered after a look at a source that can't be read: it did not stay the same."""
    if kept.pending is None or not kept.pending.stayed_s:
        return kept
    return msgspec.structs.replace(kept, pending=msgspec.structs.replace(kept.pending, stayed_s=0.0))


def describe_unread(kept: Kept) -> str:
    """Return what to tell of a loss not yet accepted while the source can't be read; empty where there is none."""
    if kept.pending is None:
        return ""
    return (
        f"{kept.path} lost rows at {kept.pending.since:%Y-%m-%d %H:%M} UTC and can't be read now; "
        f"its last good {len(kept.identities)} rows stay watched"
    )


def adopt_rows(kept: Kept, identities: Sequence[Identity], now: datetime) -> Kept:
    """Return what is remembered where other processes have these rows of this source; ours stay if the ids are ours.

    An id that stands in two sources is told with the endpoints of both, so what is told is not what one source says.
    """
    rows = tuple(sorted(identities, key=lambda one: one.id))
    if not rows or (kept.is_known and [one.id for one in kept.identities] == [one.id for one in rows]):
        return kept
    maxima = {**kept.maxima, now.date().isoformat(): max(_maximum(kept, now), len(rows))}
    return msgspec.structs.replace(kept, is_known=True, identities=rows, maxima=maxima)


def digest_of_rows(identities: Sequence[Identity]) -> str:
    """Return a digest of the rows, whatever their order in the file."""
    return digest_of(*(msgspec.json.encode(one) for one in sorted(identities, key=lambda one: one.id)))


def measure_loss(
    kept: Kept, rows: Sequence[Identity], limits: Limits, *, now: datetime, elsewhere: Collection[str] = ()
) -> Loss:
    """Return what would be lost if ``rows`` replaced the last good ones; an identity without hosts counts as lost."""
    by_id = {one.id: one for one in rows}
    gone = [one for one in kept.identities if one.id not in by_id]
    lost = [one for one in gone if one.id not in elsewhere]
    moved = len(gone) - len(lost)
    survivors = [(one, by_id[one.id]) for one in kept.identities if one.id in by_id]
    lost += [old for old, new in survivors if old.endpoints and not new.endpoints]
    hosts = sum(len(_hosts(one)) for one in kept.identities)
    thinned = sum(max(0, len(_hosts(old)) - len(_hosts(new))) for old, new in survivors if new.endpoints)
    most = _maximum(kept, now)
    missing = max(len(lost), most - len(rows) - moved)
    is_empty = not any(one.endpoints for one in rows) and (bool(lost) or not kept.is_known)
    too_many = missing >= FEWEST_LOST and missing > limits.max_shrink * most
    too_thin = thinned >= FEWEST_LOST and thinned > limits.max_shrink * hosts
    return Loss(
        before=most,
        after=len(rows),
        lost=tuple(sorted(lost, key=lambda one: (CRITICALITY_ORDER[one.criticality], one.id))),
        lost_hosts=thinned,
        is_empty=is_empty,
        is_suspicious=is_empty or too_many or too_thin,
    )


def repair(
    kept: Kept, inventory: Inventory, elsewhere: Collection[str], limits: Limits, now: datetime
) -> tuple[tuple[Identity, ...], str]:
    """Return the rows with the last good version in the place of each that broke, and a sentence on those that broke.

    Of a document that can't be read, in a source with several, the endpoints stay that stood in it. Where an id can't
    be read, the rows that are missing may be meant: they stay, unless too many are missing.
    """
    known = {one.id: one for one in kept.identities}
    rows = {one.id: one for one in inventory.identities}
    notes = _restore_unread(kept, inventory.unread, rows)
    for one in inventory.broken:
        good = known.get(one.id)
        if one.is_whole and one.id not in rows and good is not None:
            rows[one.id] = good
        elif good is not None and one.id in rows:  # another row, or the rest of this one, stands
            rows[one.id] = joined(rows[one.id], good.endpoints)
        notes.append(f"{one.problem}; {_told_of(one, good, rows)}")
    nameless = sum(not one.id for one in inventory.broken)
    if nameless:
        missing = [one for key, one in known.items() if key not in rows and key not in elsewhere]
        loss = measure_loss(kept, tuple(rows.values()), limits, now=now, elsewhere=elsewhere)
        if missing and (len(missing) <= nameless or not loss.is_suspicious):
            rows.update({one.id: one for one in missing})
            notes.append(f"one of these may be meant, so their last good versions stay: {_named(missing)}")
        notes += _restore_objects(kept, rows, nameless)
    told = {one.problem for one in inventory.broken}
    notes += [problem for problem in inventory.problems if problem not in told]
    more = f" (and {len(notes) - MOST_NAMED} more)" if len(notes) > MOST_NAMED else ""
    return tuple(rows[key] for key in sorted(rows)), " | ".join(notes[:MOST_NAMED]) + more


def _restore_unread(kept: Kept, unread: Sequence[tuple[str, str]], rows: dict[str, Identity]) -> list[str]:
    """Put back what was in documents that can't be read now; return a sentence on each of them."""
    documents = {name for name, _ in unread}
    counts = dict.fromkeys(documents, 0)
    for one in kept.identities if documents else ():
        stood = [endpoint for endpoint in one.endpoints if document_of(endpoint.origin) in documents]
        for endpoint in stood:
            counts[document_of(endpoint.origin)] += 1
        if stood:
            here = rows.get(one.id)
            rows[one.id] = joined(here, stood) if here else msgspec.structs.replace(one, endpoints=tuple(stood))
    return [
        f"{sentence}; the last good {counts[name]} endpoints of it stay watched"
        if counts[name]
        else f"{sentence}; no earlier version of it is known, so nothing of it is watched"
        for name, sentence in unread
    ]


def _restore_objects(kept: Kept, rows: dict[str, Identity], nameless: int) -> list[str]:
    """Put back what objects said that are missing, where as many documents can't be read that may have had them."""
    present = {endpoint.origin for one in rows.values() for endpoint in one.endpoints}
    missing: dict[str, list[Endpoint]] = {}
    for one in kept.identities:
        if one.id in rows:
            stood = [endpoint for endpoint in one.endpoints if endpoint.origin and endpoint.origin not in present]
            if stood:
                missing[one.id] = stood
    objects = sorted({endpoint.origin for stood in missing.values() for endpoint in stood})
    if not objects or len(objects) > nameless:
        return []
    for key, stood in missing.items():
        rows[key] = joined(rows[key], stood)
    return [f"one of these may be meant, so what they said stays: {', '.join(objects[:MOST_NAMED])}"]


def describe_loss(kept: Kept, loss: Loss, limits: Limits) -> str:
    """Return a sentence for people: from how many to how many, who would be lost, since when, how to accept it."""
    assert kept.pending is not None
    since = f"{kept.pending.since:%Y-%m-%d %H:%M} UTC"
    if not kept.is_known:
        return (
            f"{kept.path} has no identity with an endpoint since {since}, and no earlier version of it is known: "
            f"nothing is watched for it; if this is right: anchorwatch inventory accept CONFIG {kept.path}"
        )
    what = f"{kept.path} went from {loss.before} to {loss.after} identities at {since}"
    if loss.is_empty:
        what = f"{kept.path} has no identity with an endpoint since {since} (it had {loss.before})"
    elif len(loss.lost) == 0 and loss.lost_hosts:
        what = f"{kept.path} lost {loss.lost_hosts} hosts of its {loss.before} identities at {since}"
    who = f"; would no longer be watched: {_named(loss.lost)}" if loss.lost else ""
    critical = sum(one.criticality == "critical" for one in loss.lost)
    if critical:
        who += f", {critical} of them critical"
    by_time = (
        "time alone does not accept it"
        if loss.needs_person
        else f"it is accepted once it stayed the same for {limits.accept_after_s / 3600:g} h"
    )
    return (
        f"{what}; its last good {len(kept.identities)} rows stay watched{who}; "
        f"if this is right: anchorwatch inventory accept CONFIG {kept.path}; {by_time}"
    )


def _accepted(
    kept: Kept,
    rows: tuple[Identity, ...],
    now: datetime,
    stale: str,
    *,
    accepted: str,
    shrank: bool = False,
    acceptance: Acceptance | None = None,
) -> Judged:
    present = {one.id for one in rows}
    today = now.date().isoformat()
    if shrank:  # the loss is believed: what was more before counts no more
        maxima = {today: len(rows)}
    else:
        oldest = (now - MAXIMUM_OVER).date().isoformat()
        maxima = {day: most for day, most in kept.maxima.items() if day >= oldest}
        maxima[today] = max(maxima.get(today, 0), len(rows), len(kept.identities))
    history = (*kept.acceptances, acceptance)[-MOST_ACCEPTANCES:] if acceptance is not None else kept.acceptances
    return Judged(
        kept=msgspec.structs.replace(
            kept,
            is_known=True,
            identities=rows,
            maxima=maxima,
            pending=None,
            accepted=accepted,
            acceptances=history,
        ),
        stale=stale,
        removed=tuple(one.id for one in kept.identities if one.id not in present),
        acceptance=acceptance,
    )


def _maximum(kept: Kept, now: datetime) -> int:
    oldest = (now - MAXIMUM_OVER).date().isoformat()
    return max([len(kept.identities), *(most for day, most in kept.maxima.items() if day >= oldest)])


def _hosts(identity: Identity) -> set[str]:
    return {endpoint.host for endpoint in identity.endpoints}


def _named(identities: Sequence[Identity]) -> str:
    ordered = sorted(identities, key=lambda one: (CRITICALITY_ORDER[one.criticality], one.id))
    more = f" and {len(ordered) - MOST_NAMED} more" if len(ordered) > MOST_NAMED else ""
    return ", ".join(_who(one) for one in ordered[:MOST_NAMED]) + more


def _who(identity: Identity) -> str:
    owner = f"owner {identity.owner}, " if identity.owner else ""
    return f"{identity.id} ({owner}criticality {identity.criticality})"


def _told_of(broken: Broken, good: Identity | None, rows: dict[str, Identity]) -> str:
    """Return who is affected by a broken row, and what is watched in its place."""
    if not broken.id:
        return "its id can't be read"
    if good is not None:
        return f"its last good version stays watched: {_who(good)}"
    if broken.id in rows and rows[broken.id].endpoints:
        return f"the rest of it is watched: {_who(rows[broken.id])}"
    row = rows.get(broken.id)
    return f"no earlier version of {_who(row) if row else broken.id} is known, so it is not watched"
