"""A report over a time: coverage, findings by control, response times. Pure: what the API returns in, a report out."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import msgspec

FRAMEWORKS = {
    "csf": "NIST CSF 2.0",
    "nhi": "OWASP NHI Top 10 2025",
    "800-207": "NIST SP 800-207",
    "800-53": "NIST SP 800-53 Rev. 5",
}
WEAKEST_FIRST = ("bogus", "indeterminate", "insecure", "unwatched", "secure")
Json = Mapping[str, Any]


class Covered(msgspec.Struct, frozen=True, kw_only=True):
    """One identity, and the weakest verdict among what it rests on; unwatched where nothing was observed."""

    id: str
    owner: str
    environment: str
    criticality: str
    verdict: str
    endpoints: int


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """One incident under a control: how it is related, what leads it, whom it hits, and where its evidence is."""

    incident: str
    cause: str
    severity: str
    state: str
    opened_at: str
    ended_at: str
    summary: str
    relation: str
    codes: tuple[str, ...]
    identities: tuple[str, ...]
    owners: tuple[str, ...]
    environments: tuple[str, ...]


class ControlRow(msgspec.Struct, frozen=True, kw_only=True):
    """One control with the incidents that touch it; none is no proof that it is met."""

    control: str
    why: str
    citation: str
    incidents: tuple[Touched, ...]


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """How fast people were told, took incidents, and saw them end: medians and worst in seconds, None for none."""

    incidents: int
    told: int
    acknowledged: int
    ended: int
    open: int
    to_page_s: float | None
    to_page_worst_s: float | None
    to_acknowledge_s: float | None
    to_end_s: float | None
    to_end_worst_s: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report; ``verdicts`` counts identities by their weakest verdict."""

    framework: str
    since: str
    until: str
    verdicts: dict[str, int]
    identities: tuple[Covered, ...]
    controls: tuple[ControlRow, ...]
    response: Response
    silences: tuple[str, ...]
    accepted: tuple[str, ...]


def assess(
    framework: str,
    since: datetime,
    until: datetime,
    *,
    identities: Sequence[Json],
    incidents: Sequence[Json],
    notifications: Sequence[Json],
    acts: Sequence[Json],
    controls: Sequence[Json],
) -> Report:
    """Return the report of a framework, one of ``FRAMEWORKS``.

    ``controls`` are all rows that the mapping has: a control that nothing touched is shown, too.
    """
    name = FRAMEWORKS[framework]
    chosen = [one for one in incidents if _overlaps(one, since, until)]
    covered = tuple(sorted(map(_covered, identities), key=lambda one: (WEAKEST_FIRST.index(one.verdict), one.id)))
    counts = {verdict: sum(one.verdict == verdict for one in covered) for verdict in WEAKEST_FIRST}
    done = [one for one in acts if since <= datetime.fromisoformat(one["at"]) <= until]
    return Report(
        framework=name,
        since=since.isoformat(),
        until=until.isoformat(),
        verdicts=counts,
        identities=covered,
        controls=tuple(_control_rows(name, controls, chosen)),
        response=_response(chosen, notifications),
        silences=tuple(_said(one) for one in done if one["kind"] == "silence"),
        accepted=tuple(_said(one) for one in done if one["kind"] == "accept"),
    )


def _overlaps(incident: Json, since: datetime, until: datetime) -> bool:
    ended_at = incident["ended_at"]
    return datetime.fromisoformat(incident["opened_at"]) <= until and (
        ended_at is None or datetime.fromisoformat(ended_at) >= since
    )


def _covered(identity: Json) -> Covered:
    return Covered(
        id=identity["id"],
        owner=identity["owner"],
        environment=identity["environment"],
        criticality=identity["criticality"],
        verdict=identity["verdict"] or "unwatched",
        endpoints=len(identity["endpoints"]),
    )


def _control_rows(name: str, controls: Sequence[Json], incidents: Sequence[Json]) -> Iterable[ControlRow]:
    known = {one["control"]: one for one in controls if one["framework"] == name}
    for control, row in sorted(known.items()):
        touched = [
            _touched(incident, one["relation"])
            for incident in incidents
            for one in incident["controls"]
            if (one["framework"], one["control"]) == (name, control)
        ]
        yield ControlRow(
            control=control,
            why=row["why"],
            citation=row["citation"],
            incidents=tuple(sorted(touched, key=lambda one: one.opened_at, reverse=True)),
        )


def _touched(incident: Json, relation: str) -> Touched:
    people = incident["identities"]
    return Touched(
        incident=incident["id"],
        cause=incident["cause"],
        severity=incident["severity"],
        state=incident["state"],
        opened_at=incident["opened_at"],
        ended_at=incident["ended_at"] or "",
        summary=incident["summary"],
        relation=relation,
        codes=tuple(dict.fromkeys(one["code"] for one in incident["findings"])),
        identities=tuple(one["id"] for one in people),
        owners=tuple(sorted({one.get("owner", "") for one in people} - {""})),
        environments=tuple(sorted({one.get("environment", "") for one in people} - {""})),
    )


def _response(incidents: Sequence[Json], notifications: Sequence[Json]) -> Response:
    first_told: dict[str, datetime] = {}
    for one in notifications:
        if one["status"] == "sent" and one["event"] == "trigger":
            at = datetime.fromisoformat(one["at"])
            first_told[one["incident"]] = min(at, first_told.get(one["incident"], at))
    told = [_between(one["opened_at"], first_told[one["id"]]) for one in incidents if one["id"] in first_told]
    taken = [
        _between(one["opened_at"], datetime.fromisoformat(one["first_acknowledged_at"]))
        for one in incidents
        if one["first_acknowledged_at"]
    ]
    ended = [
        _between(one["opened_at"], datetime.fromisoformat(one["ended_at"])) for one in incidents if one["ended_at"]
    ]
    return Response(
        incidents=len(incidents),
        told=len(told),
        acknowledged=len(taken),
        ended=len(ended),
        open=sum(one["ended_at"] is None for one in incidents),
        to_page_s=_median(told),
        to_page_worst_s=max(told, default=None),
        to_acknowledge_s=_median(taken),
        to_end_s=_median(ended),
        to_end_worst_s=max(ended, default=None),
    )


def _between(opened_at: str, then: datetime) -> float:
    return max(timedelta(), then - datetime.fromisoformat(opened_at)).total_seconds()


def _median(seconds: Sequence[float]) -> float | None:
    return round(float(median(seconds)), 1) if seconds else None


def _said(act: Json) -> str:
    what = act.get("subject") or " ".join(act.get("matchers", ()))
    return f"{act['at'][:19]} {act['by']}: {what}" + (f" ({act['why']})" if act.get("why") else "")
