"""``anchorwatch replay``: scripted worlds on a virtual clock, through the real stages."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from anchorwatch.cli.exit_status import unwound_by_signals

FAILED = 1


@click.command()
@click.argument("paths", metavar="SCENARIO.yaml...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a scenario.")
@click.option("--restart-at", type=click.Choice(["random"]), help="Kill and start the monitor at random instants.")
@click.option(
    "--restarts", default=3, show_default=True, type=click.IntRange(1, 1000), help="How many, with --restart-at."
)
@click.option("--seed", default=0, show_default=True, help="Which random instants.")
@click.option("--until", metavar="SPAN", default="", help="End scenarios that last longer after this span, as 3w.")
@click.option(
    "--measure", "measured", is_flag=True, help="Print at the end how soon, how early and how often was told."
)
@click.option("--quiet", is_flag=True, help="Print what failed, and a line a scenario.")
@unwound_by_signals()
def replay(
    paths: tuple[Path, ...],
    as_json: bool,
    restart_at: str | None,
    restarts: int,
    seed: int,
    until: str,
    measured: bool,
    quiet: bool,
) -> None:
    """Run scenarios (docs/scenarios.md) on a virtual clock through the real collector, analyzer and alerts.

    Exit status: 0 if every expectation was met, 1 if one was not, 2 if a scenario can't be used.
    """
    from anchorwatch.replay import measures
    from anchorwatch.replay.judging import judge
    from anchorwatch.replay.reading import read_scenario
    from anchorwatch.replay.report import as_object, passed, table
    from anchorwatch.replay.running import run_scenario
    from anchorwatch.replay.times import parse_span
    from schemas.faults import ConfigError

    try:
        longest_s = parse_span(until) if until else float("inf")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--until") from None
    problems: list[str] = []
    scenarios = []
    for path in paths:
        try:
            scenarios.append(read_scenario(path).cut(longest_s))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    all_passed, found = True, []
    for scenario in scenarios:
        with _silence("alerts"):
            record = run_scenario(scenario, restarts=restarts if restart_at else 0, seed=seed)
        outcomes = judge(scenario, record)
        all_passed &= passed(outcomes)
        found.append(measures.measure(scenario, record, outcomes))
        if as_json:
            click.echo(json.dumps(as_object(scenario, record, outcomes)))
        else:
            text = table(scenario, record, outcomes)
            click.echo("\n".join(line for line in text.splitlines() if not quiet or _says_result(line)))
    if measured:
        click.echo(measures.table(found))
    sys.exit(0 if all_passed else FAILED)


@contextmanager
def _silence(name: str) -> Iterator[None]:
    """Keep a logger from telling of what happens in a scenario: the record has it."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _says_result(line: str) -> bool:
    return not line.startswith("  ") or line.startswith(("  FAILED", "         "))
