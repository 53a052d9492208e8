"""``changes``: what is declared to change, of which zone or name, in which window."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from analyzer.findings.acts import MOST_CHANGES
from analyzer.findings.changes import Plan, check_change
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Section
from collector.dnssec import names
from schemas.catalogue import Change
from schemas.redaction import safe, without_quoted

_ZONED = {"pattern": r"([Zz]|[+-][0-9]{2}:?[0-9]{2})$"}
Instant = Annotated[datetime, msgspec.Meta(tz=True, extra_json_schema=_ZONED)]
Words = tuple[str, ...]


class ChangeSection(Section, frozen=True, kw_only=True):
    """One declared change: of a zone (keys, ds, ns, unsign), or of a name (answers, which are given)."""

    zone: str = ""
    name: str = ""
    begins_at: Instant = msgspec.field(name="from")
    ends_at: Instant = msgspec.field(name="to")
    who: str
    what: tuple[Change, ...]
    why: str = ""
    answers: Words = ()


def read_changes(sections: Sequence[ChangeSection], document: Document) -> tuple[Plan, ...]:
    """Return what is declared; a window that is over is no problem, since the file may keep it."""
    if len(sections) > MOST_CHANGES:
        document.problem("changes", f"at most {MOST_CHANGES} are expected")
    plans = [_read_change(section, f"changes[{number}]", document) for number, section in enumerate(sections)]
    return tuple(plan for plan in plans if plan is not None)


def _read_change(section: ChangeSection, path: str, document: Document) -> Plan | None:
    key = "name" if section.name else "zone"
    if bool(section.zone) == bool(section.name):
        document.problem(path, "say either 'zone' or 'name'")
        return None
    if section.zone and Change.ANSWERS in section.what:
        document.problem(f"{path}.what", "answers are those of one name: say 'name' instead of 'zone'")
        return None
    text = section.zone or section.name
    try:
        subject = names.to_text(names.from_text(text.lower()))
    except ValueError as error:
        document.problem(f"{path}.{key}", f"{safe(text)}: {without_quoted(str(error))}")
        return None
    plan = Plan(
        subject=subject,
        begins_at=section.begins_at.astimezone(UTC),
        ends_at=section.ends_at.astimezone(UTC),
        by=section.who,
        what=section.what,
        why=section.why,
        answers=section.answers,
    )
    problems = check_change(plan.declared(plan.begins_at, ""))
    for problem in problems:
        document.problem(path, problem)
    return None if problems else plan
