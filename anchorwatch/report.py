"""The result of ``check``: a table, JSON, or a line for a monitoring system."""

from collections import Counter
from collections.abc import Sequence

import click
import msgspec

from alerts.wording import printable
from analyzer.attribution import whole_of
from analyzer.blast import Consumers
from analyzer.conditions import Condition, conditions_of
from anchorwatch.chainview import paint
from schemas.catalogue import Severity
from schemas.judgement import Judgement, Verdict

TOLD_BY_NAME = frozenset({"endpoint_absent", "resolver_disagrees", "alias_exits_signed_space"})
OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
COLOURS = {
    Severity.CRITICAL: "red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "blue",
    Severity.INFO: "white",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One condition over the whole inventory, with its blast radius."""

    code: str
    severity: Severity
    cause_zone: str
    detail: str
    endpoints: tuple[str, ...]
    identities: tuple[str, ...]
    owners: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one check came to; ``problems`` most severe first; ``inventory_problems`` are rows that were left out."""

    endpoints: int
    verdicts: dict[str, int]
    problems: tuple[Problem, ...]
    judgements: tuple[Judgement, ...]
    inventory_problems: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Return the exit code of a monitoring plugin.

        2: something is bogus or critical. 3: something could not be determined, or rows were left out. 1: a medium or
        high finding. 0: nothing of that.
        """
        worst = max((p.severity.rank for p in self.problems), default=0)
        if self.verdicts.get(Verdict.BOGUS) or worst >= Severity.CRITICAL.rank:
            return CRITICAL
        if self.verdicts.get(Verdict.INDETERMINATE) or self.inventory_problems:
            return UNKNOWN
        return WARNING if worst >= Severity.MEDIUM.rank else OK


def make_report(judgements: Sequence[Judgement], consumers: Consumers, inventory_problems: Sequence[str]) -> Report:
    """Group what is wrong by its cause."""
    grouped: dict[tuple[str, str, str], list[tuple[Condition, Judgement]]] = {}
    for judgement in judgements:
        for condition in conditions_of(judgement, consumers.endpoints_at(judgement.name, judgement.type)):
            key = condition.key if condition.code in TOLD_BY_NAME else whole_of(condition.key)
            grouped.setdefault(key, []).append((condition, judgement))
    problems = [_problem(members, consumers) for members in grouped.values()]
    counts = Counter(judgement.verdict for judgement in judgements)
    return Report(
        endpoints=len(judgements),
        verdicts={str(verdict): counts[verdict] for verdict in Verdict},
        problems=tuple(sorted(problems, key=lambda p: (-p.severity.rank, p.cause_zone, p.code))),
        judgements=tuple(judgements),
        inventory_problems=tuple(inventory_problems),
    )


def _problem(members: Sequence[tuple[Condition, Judgement]], consumers: Consumers) -> Problem:
    condition = max((one for one, _ in members), key=lambda one: one.severity.rank)
    names = sorted({judgement.name for _, judgement in members})
    affected = consumers.affected_by(names)
    return Problem(
        code=condition.code,
        severity=condition.severity,
        cause_zone=condition.cause_zone or condition.cause_rrset,
        detail=condition.detail,
        endpoints=tuple(sorted({f"{judgement.name} {judgement.type}" for _, judgement in members})),
        identities=tuple(one.id for one in affected),
        owners=tuple(sorted({one.owner for one in affected if one.owner})),
    )


def to_table(report: Report, *, all_endpoints: bool) -> str:
    """Return the report for a person: what is wrong by cause, who is behind it, then the counts."""
    lines = []
    if all_endpoints:
        width = max((len(j.name) for j in report.judgements), default=4)
        for judgement in report.judgements:
            cause = f"  {judgement.reasons[0].code} at {judgement.cause_zone}" if judgement.reasons else ""
            name = f"{judgement.name:{width}}"
            lines.append(f"{paint(judgement.verdict)}  {name} {judgement.type:5} {judgement.vantage}{cause}")
        lines.append("")
    for problem in report.problems:
        severity = click.style(f"{problem.severity.upper():8}", fg=COLOURS[problem.severity], bold=True)
        lines.append(f"{severity} {problem.code} at {printable(problem.cause_zone)}")
        lines.append(f"         {printable(problem.detail)}")
        who = ", ".join(problem.identities[:5]) + (" …" if len(problem.identities) > 5 else "")
        owners = f" (owners: {', '.join(problem.owners[:5])})" if problem.owners else ""
        counts = f"{len(problem.endpoints)} endpoints, {len(problem.identities)} identities"
        lines.append(f"         {counts}: {printable(who + owners)}")
    if report.inventory_problems:
        lines.append("")
        lines.append(f"{len(report.inventory_problems)} problems in the inventory; these were left out:")
        lines += [f"  {printable(problem)}" for problem in report.inventory_problems]
    lines.append("")
    totals = "  ".join(f"{paint(Verdict(verdict))} {count}" for verdict, count in report.verdicts.items())
    lines.append(f"{report.endpoints} endpoints: {totals}")
    return "\n".join(lines)


def to_plugin_line(report: Report) -> str:
    """Return one line for Nagios and its kin, with performance data."""
    word = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[report.exit_code]
    verdicts = report.verdicts
    text = f"{verdicts['bogus']} bogus, {verdicts['indeterminate']} indeterminate of {report.endpoints}"
    perf = " ".join(f"{verdict}={count}" for verdict, count in verdicts.items())
    return f"DNSINTEGRITY {word} - {text} | {perf} checked={report.endpoints}"
