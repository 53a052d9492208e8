"""``maintenance``: windows of the week in which some findings page nobody."""

from collections.abc import Sequence

import msgspec

from alerts.decision.matchers import BadMatcher, Matcher, MatcherSet, parse_matchers
from alerts.decision.silences import Maintenance
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Duration, Section
from anchorwatch.configuration.windows import read_weekly
from schemas.redaction import safe


class MaintenanceSection(Section, frozen=True, kw_only=True):
    """One window: what it covers, on which days, from when, for how long."""

    name: str
    matchers: tuple[str, ...]
    begins: str = msgspec.field(name="from")
    lasts: Duration = msgspec.field(name="for")
    days: tuple[str, ...] = ()
    timezone: str = ""
    why: str = ""
    everything: bool = False


def read_maintenance(sections: Sequence[MaintenanceSection], document: Document) -> tuple[Maintenance, ...]:
    """Return the windows; one that covers nearly everything must say so."""
    found: list[Maintenance] = []
    for number, section in enumerate(sections):
        path = f"maintenance[{number}]"
        if any(one.name == section.name for one in found):
            document.problem(f"{path}.name", f"{safe(section.name)} is there twice")
        matchers = read_matchers(section.matchers, f"{path}.matchers", document)
        if matchers and MatcherSet(matchers).is_broad and not section.everything:
            document.problem(
                f"{path}.matchers", "they match nearly every finding; say 'everything: true' if you mean it"
            )
        schedule = read_weekly(
            days=section.days,
            begins=section.begins,
            lasts=section.lasts,
            zone=section.timezone,
            path=path,
            document=document,
        )
        found.append(Maintenance(name=section.name, matchers=matchers, schedule=schedule, why=section.why))
    return tuple(found)


def read_matchers(texts: Sequence[str], path: str, document: Document) -> tuple[Matcher, ...]:
    """Return matchers, none where one of them can't be used."""
    try:
        return parse_matchers(texts)
    except BadMatcher as error:
        document.problem(path, str(error))
        return ()
