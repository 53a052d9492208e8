"""The result of ``check``: a table, JSON, or a line for a monitoring system."""

from collections import Counter
from collections.abc import Sequence

import click
import msgspec

from alerts.delivery.wording import printable
from analyzer.detected import Condition
from analyzer.endpoints.conditions import conditions_of
from analyzer.findings.attribution import whole_of
from analyzer.findings.blast import Consumers
from anchorwatch.cli.chain_view import paint
from schemas.catalogue import Severity
from schemas.judgement import Judgement, Verdict

TOLD_BY_NAME = frozenset({"endpoint_absent", "resolver_disagrees", "alias_exits_signed_space"})
OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
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
    """What one check came to; ``problems`` most severe first; ``inventory_problems`` are rows that were left out.

    ``hosts`` are different names; ``checks`` are verdicts, one for each name, type and vantage (``endpoints`` says the
    same for readers of earlier versions); ``status`` is the word of the exit status.
    """

    status: str = "UNKNOWN"
    hosts: int = 0
    checks: int = 0
    endpoints: int
    verdicts: dict[str, int]
    problems: tuple[Problem, ...]
    judgements: tuple[Judgement, ...]
    inventory_problems: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Return the exit code of a monitoring plugin.

        2: something is bogus or critical. 3: something could not be determined, rows were left out, or there was
        nothing to check. 1: a medium or high finding. 0: nothing of that.
        """
        worst = max((p.severity.rank for p in self.problems), default=0)
        if self.verdicts.get(Verdict.BOGUS) or worst >= Severity.CRITICAL.rank:
            return CRITICAL
        if not self.checks or self.verdicts.get(Verdict.INDETERMINATE) or self.inventory_problems:
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
    report = Report(
        hosts=len({judgement.name for judgement in judgements}),
        checks=len(judgements),
        endpoints=len(judgements),
        verdicts={str(verdict): counts[verdict] for verdict in Verdict},
        problems=tuple(sorted(problems, key=lambda p: (-p.severity.rank, p.cause_zone, p.code))),
        judgements=tuple(judgements),
        inventory_problems=tuple(inventory_problems),
    )
    return msgspec.structs.replace(report, status=WORDS[report.exit_code])


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
        hosts = len({endpoint.split(" ")[0] for endpoint in problem.endpoints})
        names = f"{counted(hosts, 'host')}, {counted(len(problem.endpoints), 'name and type', 'names and types')}"
        counts = f"{names}, {counted(len(problem.identities), 'identity', 'identities')}"
        lines.append(f"         {counts}: {printable(who + owners)}")
    if report.inventory_problems:
        lines.append("")
        lines.append(
            f"{counted(len(report.inventory_problems), 'problem')} in the inventory; what they name was left out:"
        )
        lines += [f"  {printable(problem)}" for problem in report.inventory_problems]
    lines.append("")
    totals = "  ".join(f"{paint(Verdict(verdict))} {count}" for verdict, count in report.verdicts.items())
    if report.checks:
        lines.append(f"{totals_of(report)}: {totals}")
    else:
        lines.append(f"UNKNOWN: {NOTHING}")
    return "\n".join(lines)


def to_plugin_line(report: Report) -> str:
    """Return one line for Nagios and its kin, with performance data."""
    verdicts = report.verdicts
    text = f"{verdicts['bogus']} bogus, {verdicts['indeterminate']} indeterminate of {totals_of(report)}"
    if not report.checks:
        text = NOTHING
    if report.inventory_problems:
        text += f", {counted(len(report.inventory_problems), 'problem')} in the inventory"
    perf = " ".join(f"{verdict}={count}" for verdict, count in verdicts.items())
    return f"DNSINTEGRITY {report.status} - {text} | {perf} checked={report.checks} hosts={report.hosts}"


NOTHING = "nothing was checked: the inventory has no endpoint"


def totals_of(report: Report) -> str:
    """Return how many hosts were checked, and how often: a host is checked for each type through each vantage."""
    return f"{counted(report.hosts, 'host')}, {counted(report.checks, 'check')}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return ``1 host``, ``2 hosts``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
