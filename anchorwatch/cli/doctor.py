"""``anchorwatch doctor``: what is not as it should be on this machine, and what to change."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anchorwatch.cli.arguments import DEFAULT_CONFIG, read_anchors, read_points, read_policy

if TYPE_CHECKING:
    from anchorwatch.configuration.loading import Config
    from anchorwatch.diagnosis.checks import Check
    from anchorwatch.judging import Settings
    from collector.config import VantagePoint


@click.command()
@click.argument("config_path", metavar="[CONFIG]", required=False, type=click.Path(path_type=Path))
@click.option("--resolver", "resolvers", metavar="URL", multiple=True, help="Instead of those of CONFIG or the system.")
@click.option("--trust-anchor", metavar="FILE", help="DS or DNSKEY records, instead of those of CONFIG or the shipped.")
@click.option(
    "--bogus-name", metavar="NAME", help="A name that does not validate; default: one of the public DNS made for that."
)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
def doctor(
    config_path: Path | None,
    resolvers: tuple[str, ...],
    trust_anchor: str | None,
    bogus_name: str | None,
    as_json: bool,
) -> None:
    """Look at resolvers, clock, anchors, disks and what CONFIG names, within five seconds, and say what to change.

    Without CONFIG that is anchorwatch.yaml if it is here, else the system's resolvers are looked at.

    Nobody is paged and nothing is written. What could not be asked is unknown, never fine.

    Exit status: 0 all is well, 1 a warning, 2 something critical, 3 nothing worse than what is unknown.
    """
    import msgspec

    from anchorwatch.cli.terminal import to_ascii_json
    from anchorwatch.diagnosis.checks import exit_status, to_table
    from anchorwatch.diagnosis.examination import examine
    from anchorwatch.diagnosis.resolvers import BOGUS_NAME

    if config_path is None and not resolvers and Path(DEFAULT_CONFIG).is_file():
        config_path = Path(DEFAULT_CONFIG)
    config, checks = _read(config_path) if config_path is not None else (None, [])
    points, settings = _chosen(config, resolvers, trust_anchor)
    checks += examine(points, settings, bogus_name or BOGUS_NAME, config)
    status = exit_status(checks)
    if as_json:
        click.echo(to_ascii_json(msgspec.json.encode({"exit_status": status, "checks": checks})))
    else:
        click.echo(to_table(checks))
    sys.exit(status)


def _read(path: Path) -> "tuple[Config | None, list[Check]]":
    """Return the configuration, None where it can't be used, and what is to be said of it."""
    from anchorwatch.configuration.loading import load_config
    from anchorwatch.diagnosis.checks import Check, State
    from schemas.faults import ConfigError

    part, what = "configuration", path.name
    try:
        config = load_config(path)
    except ConfigError as error:
        change = "mend it; a running instance goes on by the configuration that it has"
        bad = State.CRITICAL
        return None, [Check(part=part, what=what, state=bad, detail=one, change=change) for one in error.problems]
    checks = [Check(part=part, what=what, state=State.OK, detail="it can be used")]
    change = "add a route, or a receiver to it; anchorwatch routes test shows who would be told"
    checks += [
        Check(part=part, what="routes", state=State.WARNING, detail=one, change=change) for one in config.warnings
    ]
    return config, checks


def _chosen(
    config: "Config | None", resolvers: tuple[str, ...], trust_anchor: str | None
) -> "tuple[list[VantagePoint], Settings]":
    """Return whom to ask, and how to validate: what options say counts before what the configuration says."""
    from dataclasses import replace

    from anchorwatch.configuration.egress import environment_egress
    from anchorwatch.judging import PUBLIC, Settings

    if config is None:
        settings = Settings(read_anchors(None), read_policy(()), egress=environment_egress())
        points = []
    else:
        collector = config.collector
        settings = Settings(
            collector.anchors, collector.policy, egress=collector.egress, authorities=collector.authorities or PUBLIC
        )
        points = list(collector.vantages)
    if trust_anchor is not None:
        settings = replace(settings, anchors=read_anchors(trust_anchor))
    if resolvers or not points:
        points = read_points(resolvers)
    return points, settings
