"""The record of a run held against what was expected. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.name

from alerts.delivery.delivery import Delivery
from anchorwatch.replay import language as say
from anchorwatch.replay.record import FindingStory, Record
from anchorwatch.replay.scenario import Expected, Scenario
from anchorwatch.replay.times import show_span
from schemas.catalogue import Severity
from schemas.messages import Finding


@dataclass(frozen=True)
class Outcome:
    """Whether an expectation was met, and what was found instead."""

    line: int
    text: str
    met: bool
    why: str = ""


def judge(scenario: Scenario, record: Record) -> list[Outcome]:
    """Return what became of each expectation."""
    return [_outcome(expected, scenario, record) for expected in scenario.expected]


def _outcome(expected: Expected, scenario: Scenario, record: Record) -> Outcome:
    match expected.word:
        case say.FindingExpected() as word:
            why = _finding(word, expected, record)
        case say.NoFinding() as word:
            why = _no_finding(word, expected, record)
        case say.Pages() as word:
            why = _pages(word, expected, scenario, record)
        case say.VerdictExpected() as word:
            why = _verdict(word, expected, scenario, record)
        case _:
            raise NotImplementedError(type(expected.word).__name__)
    return Outcome(expected.line, describe(expected), not why, why)


def describe(expected: Expected) -> str:
    """Return an expectation in one line."""
    word, parts = expected.word, []
    for name in word.__struct_fields__:
        value = getattr(word, name)
        if name in expected.times:
            parts.append(f"{name} {show_span(expected.times[name])}")
        elif value is not False and value not in (None, "", ()) and not (name == "events" and value == ("trigger",)):
            parts.append(f"{name} {', '.join(map(str, value)) if isinstance(value, tuple) else value}")
    return f"{expected.name}: {'; '.join(parts)}"


# findings


def _finding(word: say.FindingExpected, expected: Expected, record: Record) -> str:
    of_code = [story for story in record.findings.values() if story.last.code == word.code]
    if not of_code:
        return f"no {word.code} at all"
    stories = [story for story in of_code if _is_meant(story.last, word)]
    if not stories:
        return f"{word.code} only at {', '.join(sorted({_place(story.last) for story in of_code}))}"
    reasons = [_why_not(story, word, expected) for story in stories]
    return "" if "" in reasons else reasons[0]


def _why_not(story: FindingStory, word: say.FindingExpected, expected: Expected) -> str:
    times, confirmed_at, closed_at = expected.times, story.confirmed_at, story.closed_at
    if confirmed_at is None:
        return f"opened at {show_span(story.opened_at)}, and never confirmed"
    if "by" in times and confirmed_at > times["by"]:
        return f"confirmed at {show_span(confirmed_at)} only"
    if "after" in times and story.opened_at < times["after"]:
        return f"opened at {show_span(story.opened_at)} already"
    if word.severity is not None and story.severity != word.severity:
        return f"its severity was {story.severity}"
    if "closed_by" in times and (closed_at is None or closed_at > times["closed_by"]):
        return f"closed at {show_span(closed_at)} only" if closed_at is not None else "it is still open"
    if "open_until" in times and closed_at is not None and closed_at < times["open_until"]:
        return f"closed at {show_span(closed_at)} already"
    for text in (word.detail,) if isinstance(word.detail, str) else word.detail:
        if not any(text in shown for _, one in story.versions for shown in (one.detail, one.before, one.after)):
            return f"it does not say {text!r}, but: {story.last.detail}"
    return ""


def _is_meant(finding: Finding, word: say.FindingExpected) -> bool:
    servers = getattr(finding, "servers", ())
    return (
        (not word.cause or _is_at(finding, word.cause))
        and (not word.rrset or word.rrset in finding.cause_rrset)
        and (not word.vantage or word.vantage in finding.vantages or word.vantage in finding.cause_rrset)
        and (not word.server or any(_same(word.server, one) for one in servers) or word.server in finding.detail)
    )


def _is_at(finding: Finding, cause: str) -> bool:
    """Return whether a finding hangs on a zone, or on a name, vantage or source."""
    if _same(finding.cause_zone, cause):
        return True
    return any(_same(word, cause) for word in finding.cause_rrset.replace(":", " ").split()) or (
        finding.cause_rrset == cause
    )


def _same(one: str, other: str) -> bool:
    return bool(one) and one.rstrip(".").lower() == other.rstrip(".").lower()


def _place(finding: Finding) -> str:
    return " ".join(filter(None, (finding.cause_zone, finding.cause_rrset))) or "ourselves"


def _no_finding(word: say.NoFinding, expected: Expected, record: Record) -> str:
    start, until = expected.times.get("start", 0.0), expected.times.get("until", record.lasts_s)
    codes = {word.code} if isinstance(word.code, str) else set(word.code)
    ignored = {word.ignoring} if isinstance(word.ignoring, str) else set(word.ignoring)
    for story in record.findings.values():
        finding = story.last
        if ("any" not in codes and finding.code not in codes) or finding.code in ignored:
            continue
        if word.cause and not _is_at(finding, word.cause):
            continue
        if word.vantage and word.vantage not in finding.vantages:
            continue
        if word.closed:
            if story.closed_at is not None and start <= story.closed_at < until:
                return f"{finding.code} at {_place(finding)} was closed at {show_span(story.closed_at)}"
            continue
        at = _first_so_severe(story, word.severity, start, until)
        if at is not None:
            return f"{finding.code} ({finding.severity}) at {_place(finding)} from {show_span(at)}: {finding.detail}"
    return ""


def _first_so_severe(story: FindingStory, severity: Severity, start: float, until: float) -> float | None:
    """Return when a finding was told in the window, confirmed and at least so severe."""
    for at, finding in story.versions:
        is_told = finding.confirmed and finding.severity.rank >= severity.rank and finding.status != "closed"
        if is_told and start <= at < until:
            return at
    return None


# pages


def _pages(word: say.Pages, expected: Expected, scenario: Scenario, record: Record) -> str:
    found = list(pages_of(record, word.receiver or scenario.pager, word, expected.times))
    shown = "; ".join(f"{show_span(at)} {delivery.event} {delivery.incident.cause}" for at, delivery in found[:8])
    if word.count is not None and len(found) != word.count:
        return f"{len(found)} of them: {shown}" if found else "none came"
    if word.at_most is not None and len(found) > word.at_most:
        return f"{len(found)} of them: {shown}"
    if "by" in expected.times and (not found or found[0][0] > expected.times["by"]):
        return f"the first came at {show_span(found[0][0])}" if found else "none came"
    return ""


def pages_of(
    record: Record, receiver: str, word: say.Pages, times: dict[str, float]
) -> Iterable[tuple[float, Delivery]]:
    """Yield the notifications that count, with their times."""
    start, until = times.get("start", 0.0), times.get("until", record.lasts_s)
    events: Sequence[str] = (word.events,) if isinstance(word.events, str) else word.events
    for at, delivery in record.arrived.get(receiver, ()):
        if not start <= at < until or delivery.event not in events:
            continue
        incident = delivery.incident
        if word.cause and not any(_is_at(entry.finding, word.cause) for entry in incident.entries.values()):
            continue
        if word.code and not any(entry.finding.code == word.code for entry in incident.entries.values()):
            continue
        yield at, delivery


# verdicts


def _verdict(word: say.VerdictExpected, expected: Expected, scenario: Scenario, record: Record) -> str:
    name = dns.name.from_text(word.name).to_text()
    vantage = word.vantage or next(iter(scenario.vantages))
    seen = record.verdict_at((name, word.type, vantage), expected.times["at"])
    if seen is None:
        return "it was not seen by then"
    if seen.verdict != word.verdict:
        return f"it is {seen.verdict}" + (f" ({', '.join(seen.reasons)})" if seen.reasons else "")
    if word.reason and word.reason not in seen.reasons:
        return f"its reasons are {', '.join(seen.reasons) or 'none'}"
    return ""
