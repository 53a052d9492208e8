"""What runs say of detection as a whole: incidents caught, how soon, how early, and what was told for nothing. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from anchorwatch.replay.judging import Outcome
from anchorwatch.replay.language import FindingExpected
from anchorwatch.replay.record import Record
from anchorwatch.replay.scenario import Scenario
from anchorwatch.replay.times import show_span
from schemas.catalogue import Severity


@dataclass(frozen=True)
class Measure:
    """One scenario: ``to_page_s`` from its cause to the first page, ``lead_s`` from the first word to the outage.

    ``pages`` are incidents that the first receiver was told of; ``invented`` are findings of medium severity and above
    that nobody expected, confirmed before there was any cause.
    """

    name: str
    title: str
    caught: bool
    is_incident: bool
    pages: int
    invented: int
    polls: int
    to_page_s: float | None = None
    lead_s: float | None = None


def measure(scenario: Scenario, record: Record, outcomes: Sequence[Outcome]) -> Measure:
    """Return the measure of one run."""
    pages = [at for at, one in record.arrived.get(scenario.pager, ()) if one.event == "trigger"]
    cause_at = scenario.cause_at
    told = [at for story in record.findings.values() if (at := story.confirmed_at) is not None]
    after = [at for at in told if cause_at is not None and at >= cause_at]
    paged = [at for at in pages if cause_at is not None and at >= cause_at]
    lead_s = scenario.outage_at - min(after) if scenario.outage_at is not None and after else None
    return Measure(
        name=scenario.name,
        title=scenario.title,
        caught=all(outcome.met for outcome in outcomes),
        is_incident=cause_at is not None,
        pages=len(pages),
        invented=_invented(scenario, record),
        polls=record.polls,
        to_page_s=min(paged) - cause_at if paged and cause_at is not None else None,
        lead_s=lead_s if lead_s is not None and lead_s > 0 else None,
    )


def _invented(scenario: Scenario, record: Record) -> int:
    """Return how many findings were told before there was anything to find."""
    until = scenario.cause_at if scenario.cause_at is not None else scenario.lasts_s
    expected = {one.word.code for one in scenario.expected if isinstance(one.word, FindingExpected)}
    return sum(
        any(one.confirmed and one.severity.rank >= Severity.MEDIUM.rank and at < until for at, one in story.versions)
        for story in record.findings.values()
        if story.last.code not in expected
    )


def table(measures: Sequence[Measure]) -> str:
    """Return the measures as a table of Markdown, and what they come to."""
    lines = ["| scenario | what | as expected | cause to page | before the outage | pages | invented |"]
    lines.append("|---|---|---|---|---|---|---|")
    for one in measures:
        cells = (
            one.name,
            one.title,
            "yes" if one.caught else "NO",
            show_span(one.to_page_s) if one.to_page_s is not None else "–",
            show_span(one.lead_s) if one.lead_s is not None else "–",
            str(one.pages),
            str(one.invented),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_sums(measures)])


def _sums(measures: Sequence[Measure]) -> list[str]:
    incidents = [one for one in measures if one.is_incident]
    times = [one.to_page_s for one in incidents if one.to_page_s is not None]
    lines = [f"Incidents caught: {sum(one.caught for one in incidents)} of {len(incidents)}."]
    if times:
        lines.append(f"Cause to page: {show_span(median(times))} (median), {show_span(max(times))} (longest).")
    quiet = [one for one in measures if not one.is_incident]
    lines.append(f"Pages where there is no incident: {sum(one.pages for one in quiet)} in {len(quiet)} scenarios.")
    lines.append(f"Findings invented: {sum(one.invented for one in measures)}.")
    lines.append(f"Polls: {sum(one.polls for one in measures):,}.")
    return lines
