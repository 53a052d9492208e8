"""``anchorwatch routes``: where a finding would go, and why."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from schemas.messages import Finding

AT = datetime(2026, 1, 1, tzinfo=UTC)


@click.group()
def routes() -> None:
    """Look at where findings go."""


@routes.command("test")
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.argument("labels", metavar="LABEL=VALUE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def routes_test(config_path: Path, labels: tuple[str, ...], as_json: bool) -> None:
    """Say where a finding with these labels would go by CONFIG, by which route, and when.

    LABEL is code (needed), severity (the code's own unless it is given), zone, host, owner, environment, identity,
    criticality or vantage; owner, host and vantage may come several times. Nothing is sent.
    """
    from alerts.decision.coverage import find_gaps
    from alerts.decision.routing import Routing
    from anchorwatch.configuration.loading import load_config

    config = load_config(config_path).alerts
    finding = _make_finding(labels)
    deaf = [one.name for one in config.receivers if not one.hears_acknowledgements]
    routing = Routing(config, deaf)
    assessment, steps = routing.explain(finding)
    ways = {name: routing.way(assessment.paths.get(name, "")) for name in assessment.receivers}
    if as_json:
        document = {
            "severity": str(assessment.severity),
            "receivers": {name: _way_view(way) for name, way in ways.items()},
            "tried": [{"route": step.path, "fits": step.fits, "why": step.why} for step in steps],
        }
        click.echo(json.dumps(document, indent=1))
        return
    click.echo(f"severity {assessment.severity}" + ("" if finding.severity is assessment.severity else " (by a rule)"))
    if assessment.receivers and not steps:
        click.echo(f"a rule names {', '.join(assessment.receivers)}: the routes are not asked")
    for step in steps:
        click.echo(f"{'  ' * step.depth}{'+' if step.fits else '-'} {step.path}: {step.why}")
    for name, way in ways.items():
        view = _way_view(way)
        click.echo(f"{name}: " + ", ".join(f"{key} {value}" for key, value in view.items() if value))
    if not assessment.receivers:
        click.echo("nobody is notified of it")
    for gap in find_gaps(config):
        click.echo(f"note: {gap}")


def _way_view(way: Any) -> dict[str, str]:
    return {
        "route": way.path,
        "group_by": ", ".join(way.group_by) or "cause",
        "group_wait": f"{way.wait.total_seconds():g}s",
        "critical": f"{way.wait_critical.total_seconds():g}s",
        "group_interval": f"{way.interval.total_seconds():g}s",
        "repeat": f"{way.repeat.total_seconds():g}s",
        "hours": way.hours.name if way.hours is not None else "",
        "escalates": "; ".join(f"after {one.after_s / 60:g} min to {one.receiver}" for one in way.escalate),
    }


def _make_finding(labels: Sequence[str]) -> "Finding":
    """Return a finding with these labels.

    Raises:
        UsageError: one of them is none.
    """
    from alerts.decision.matchers import BadMatcher, parse_matcher
    from schemas.catalogue import CATALOGUE, Severity
    from schemas.codes import Code
    from schemas.messages import Affected, Finding, FindingStatus

    given: dict[str, list[str]] = {}
    for text in labels:
        try:
            matcher = parse_matcher(text)
        except BadMatcher as error:
            raise click.UsageError(f"{text}: {error}") from error
        if matcher.operator != "=":
            raise click.UsageError(f"{text}: a finding has values, not matchers: say LABEL=VALUE")
        given.setdefault(matcher.label, []).append(matcher.value)
    if len(given.get("code", ())) != 1:
        raise click.UsageError("exactly one code=CODE is needed")
    row = CATALOGUE[Code(given["code"][0])]
    zone = given.get("zone", ["bank.example"])[0]
    people = {"criticality", "owner", "environment", "identity"} & given.keys()
    identities = [
        Affected(
            id=given.get("identity", ["sa-example"])[0],
            owner=owner,
            environment=given.get("environment", [""])[0],
            criticality=given.get("criticality", ["medium"])[0],  # type: ignore[arg-type]
        )
        for owner in given.get("owner", [""] if people else [])
    ]
    hosts = given.get("host", [f"host.{zone}"])
    return Finding(
        id="test",
        key="test",
        version=1,
        status=FindingStatus.OPENED,
        code=row.code,
        kind=row.kind,
        severity=Severity(given.get("severity", [row.severity])[0]),
        confirmed=True,
        cause_zone=zone if zone == "." else f"{zone}.",
        vantages=tuple(given.get("vantage", ())),
        endpoints=tuple(f"{host}. A" for host in hosts),
        endpoint_count=len(hosts),
        identities=tuple(identities),
        opened_at=AT,
        updated_at=AT,
    )
