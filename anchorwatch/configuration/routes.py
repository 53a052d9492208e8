"""``routes``, ``route`` and ``alerts.hours``: where findings go, and how insistently."""

from collections.abc import Mapping, Sequence

import msgspec

from alerts.config import Escalation, Hours, Match, Route
from alerts.decision.matchers import LABELS
from alerts.decision.schedule import Weekly
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.maintenance import read_matchers
from anchorwatch.configuration.rules import check_match
from anchorwatch.configuration.values import Duration, OptionalDuration, Section, read_seconds
from anchorwatch.configuration.windows import read_clock, read_days, read_zone
from schemas.redaction import safe

MOST_DEEP = 10


class HoursSection(Section, frozen=True, kw_only=True):
    """Hours of the week in which somebody is there."""

    begins: str = msgspec.field(name="from")
    ends: str = msgspec.field(name="to")
    days: tuple[str, ...] = ("mon", "tue", "wed", "thu", "fri")
    timezone: str = ""


class EscalationSection(Section, frozen=True, kw_only=True):
    """Who is told after how long without an acknowledgement."""

    after: Duration
    receiver: str


class RouteSection(Section, frozen=True, kw_only=True):
    """One route, and those below it; the words are Alertmanager's where it has the same."""

    match: Match = Match()
    matchers: tuple[str, ...] = ()
    receiver: str = ""
    owners: dict[str, str] = msgspec.field(default_factory=dict)
    continues: bool = msgspec.field(default=False, name="continue")
    group_by: tuple[str, ...] | None = None
    group_wait: OptionalDuration = ""
    group_interval: OptionalDuration = ""
    repeat: OptionalDuration = ""
    hours: str = ""
    escalate: tuple[EscalationSection, ...] | None = None
    routes: tuple["RouteSection", ...] = ()


def read_hours(sections: Mapping[str, HoursSection], document: Document) -> dict[str, Hours]:
    """Return business hours by name."""
    found = {}
    for name, section in sections.items():
        path = f"alerts.hours.{name}"
        window = Weekly(
            days=read_days(section.days, f"{path}.days", document),
            begins=read_clock(section.begins, f"{path}.from", document),
            ends=read_clock(section.ends, f"{path}.to", document),
            zone=read_zone(section.timezone, f"{path}.timezone", document),
        )
        found[name] = Hours(name=name, windows=(window,))
    return found


def read_routes(
    sections: Sequence[RouteSection],
    path: str,
    hours: Mapping[str, Hours],
    receivers: Sequence[str],
    document: Document,
) -> tuple[Route, ...]:
    """Return routes; what names a receiver or hours that are not there is a problem."""
    return tuple(
        _read_route(section, f"{path}[{number}]", hours, receivers, document) for number, section in enumerate(sections)
    )


def read_tree(
    section: RouteSection | None, hours: Mapping[str, Hours], receivers: Sequence[str], document: Document
) -> Route | None:
    """Return the tree; as Alertmanager's root it takes everything, so that nothing falls out of it."""
    if section is None:
        return None
    if not section.receiver:
        document.problem("route", "the root needs a 'receiver': what no route below takes goes there")
    if section.matchers or section.match != Match() or section.continues or section.hours:
        document.problem("route", "the root takes everything at any time: matchers, continue and hours go below it")
    return _read_route(section, "route", hours, receivers, document)


def _read_route(
    section: RouteSection, path: str, hours: Mapping[str, Hours], receivers: Sequence[str], document: Document
) -> Route:
    check_match(section.match, f"{path}.match", document)
    if path.count(".routes[") > MOST_DEEP:
        document.problem(path, f"routes are nested deeper than {MOST_DEEP}")
        return Route()
    named = [(f"{path}.receiver", section.receiver)] if section.receiver else []
    named += [(f"{path}.owners.{owner}", receiver) for owner, receiver in section.owners.items()]
    named += [(f"{path}.escalate[{n}].receiver", one.receiver) for n, one in enumerate(section.escalate or ())]
    for where, name in named:
        if name not in receivers:
            document.problem(where, f"there is no receiver {safe(name)} that takes pages")
    for label in section.group_by or ():
        if label not in LABELS:
            document.problem(f"{path}.group_by", f"there is no label {safe(label)}; known are {', '.join(LABELS)}")
    if section.hours and section.hours not in hours:
        document.problem(f"{path}.hours", f"alerts.hours has no {safe(section.hours)}")
    escalate = section.escalate
    return Route(
        match=section.match,
        matchers=read_matchers(section.matchers, f"{path}.matchers", document) if section.matchers else (),
        receiver=section.receiver,
        owners=section.owners,
        continues=section.continues,
        group_by=section.group_by,
        group_wait_s=_seconds(section.group_wait, f"{path}.group_wait", 0.0, document),
        group_interval_s=_seconds(section.group_interval, f"{path}.group_interval", 0.0, document),
        repeat_s=_seconds(section.repeat, f"{path}.repeat", 1.0, document),
        hours=hours.get(section.hours),
        escalate=None if escalate is None else tuple(_read_escalation(o, path, document) for o in escalate),
        routes=read_routes(section.routes, f"{path}.routes", hours, receivers, document),
    )


def _read_escalation(section: EscalationSection, path: str, document: Document) -> Escalation:
    after_s = read_seconds(section.after, f"{path}.escalate", document, least=60.0)
    return Escalation(after_s=after_s, receiver=section.receiver)


def _seconds(text: str, path: str, least: float, document: Document) -> float | None:
    return read_seconds(text, path, document, least=least) if text else None
