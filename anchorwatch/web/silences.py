"""Silences for scripts and pages: what is asked for is checked, and what each withholds is shown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from alerts.decision.incidents import Incident
from alerts.decision.matchers import BadMatcher, Matcher, MatcherSet, parse_matchers
from alerts.decision.silences import MOST, Maintenance, Silence, make_silence, silence_of
from alerts.delivery.wording import summarise
from anchorwatch.web.doors import BadQuery, Refused
from anchorwatch.web.incidents import ambiguity, check_short_id
from schemas.messages import Act
from schemas.wire import digest_of

ORDER = ("active", "pending", "expired")


def read_matchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    """Return the matchers in texts.

    Raises:
        BadQuery: one of them is none.
    """
    try:
        return parse_matchers(texts)
    except BadMatcher as error:
        raise BadQuery(f"matchers: {error}") from error


def make_new_silence(
    matchers: Sequence[str],
    begins_at: datetime,
    ends_at: datetime | None,
    by: str,
    why: str,
    now: datetime,
    source: str,
    known: Sequence[Silence],
    *,
    yes: bool,
) -> Act:
    """Return the act that silences.

    Raises:
        Refused: something in it can't be, or it matches nearly everything and nobody said that this is meant.
    """
    if ends_at is None:
        raise BadQuery("ends_at is needed")
    parsed = read_matchers(matchers)
    act = make_silence(
        [str(one) for one in parsed],
        begins_at.astimezone(UTC),
        ends_at.astimezone(UTC),
        by=by,
        why=why,
        at=now,
        source=source,
    )
    try:
        silence_of(act)
    except BadMatcher as error:
        raise BadQuery(str(error)) from error
    if MatcherSet(parsed).is_broad and not yes:
        raise Refused("it matches nearly every finding: nobody would be paged. If you mean it, say yes", 409)
    standing = [one for one in known if one.state_at(now) != "expired"]
    if len(standing) >= MOST:
        raise Refused(f"there are {MOST} silences already: expire some of them", 409)
    earlier = next((one for one in known if one.id == act.id), None)
    if earlier is not None and earlier.expired_at is not None:
        raise Refused(f"just this was silenced, and {earlier.expired_by} expired it: say another reason", 409)
    return act


def make_expiry(silence: Silence, by: str, why: str, now: datetime, source: str) -> Act:
    """Return the act that ends a silence before its time.

    Raises:
        Refused: it is over.
    """
    if silence.state_at(now) == "expired":
        who = f"{silence.expired_by} expired it" if silence.expired_at is not None else "it is over"
        raise Refused(f"silence {silence.id[:8]}: {who}", 409)
    act_id = digest_of("expire_silence", silence.id)[:32]
    return Act(id=act_id, kind="expire_silence", by=by, at=now, why=why, subject=silence.id, source=source)


def find_silence(silences: Sequence[Silence], text: str) -> Silence:
    """Return the silence whose id begins so.

    Raises:
        Refused: there is none, or more than one.
    """
    prefix = check_short_id(text, "silence")
    found = [one for one in silences if one.id.startswith(prefix)]
    if not found:
        raise Refused(f"there is no silence {text}", 404)
    if len(found) > 1:
        raise Refused(ambiguity(text, "silences", (one.id[:12] for one in found)), 409)
    return found[0]


def silence_views(
    silences: Sequence[Silence], maintenance: Sequence[Maintenance], incidents: Sequence[Incident], now: datetime
) -> list[dict[str, Any]]:
    """Return silences and maintenance windows for scripts and pages, those in force first."""
    withheld: dict[str, dict[str, str]] = {}
    for incident in incidents:
        for entry in incident.entries.values() if incident.ended_at is None else ():
            if entry.silenced is not None and entry.is_live:
                withheld.setdefault(entry.silenced.id, {})[incident.id] = summarise(incident, "trigger")
    rows = [_view(one, now) for one in silences]
    rows += [_maintenance_view(one, now) for one in maintenance]
    for row in rows:
        row["withholds"] = [{"id": key, "summary": text} for key, text in withheld.get(row["id"], {}).items()]
    return sorted(rows, key=lambda row: ORDER.index(row["state"]))


def matching_view(matchers: Sequence[Matcher], incidents: Sequence[Incident]) -> dict[str, Any]:
    """Return which open incidents matchers concern; ``silenced`` are those that a silence with them would mute whole.

    An incident that they concern and don't mute has findings, or affected identities, that they don't cover.
    """
    chosen = MatcherSet(matchers)
    rows, total = [], 0
    for incident in incidents:
        live = [entry for entry in incident.entries.values() if entry.is_live]
        if incident.ended_at is not None or not live:
            continue
        total += 1
        if any(chosen.concerns(entry.finding, entry.severity) for entry in live):
            covered = all(chosen.covers(entry.finding, entry.severity) for entry in live)
            rows.append({"id": incident.id, "silenced": covered, "summary": summarise(incident, "trigger")})
    return {"open": total, "broad": chosen.is_broad, "incidents": rows}


def _view(silence: Silence, now: datetime) -> dict[str, Any]:
    return {
        "id": silence.id,
        "state": silence.state_at(now),
        "matchers": [str(matcher) for matcher in silence.matchers],
        "begins_at": silence.begins_at,
        "ends_at": silence.expired_at or silence.ends_at,
        "by": silence.by,
        "why": silence.why,
        "made_at": silence.made_at,
        "source": silence.source,
        "expired_by": silence.expired_by,
        "recurs": False,
    }


def _maintenance_view(one: Maintenance, now: datetime) -> dict[str, Any]:
    window = one.schedule.window_at(now)
    begins_at = window[0] if window is not None else one.schedule.next_change_at(now)
    upcoming = window or one.schedule.window_at(begins_at)
    return {
        "id": one.id,
        "state": "active" if window is not None else "pending",
        "matchers": [str(matcher) for matcher in one.matchers],
        "begins_at": begins_at,
        "ends_at": upcoming[1] if upcoming is not None else begins_at,
        "by": one.id,
        "why": one.why,
        "made_at": None,
        "source": "configuration",
        "expired_by": "",
        "recurs": True,
    }
