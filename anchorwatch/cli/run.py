"""``anchorwatch run``: every stage in one process."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.faults import ConfigError

if TYPE_CHECKING:
    from anchorwatch.configuration.loading import Config


@click.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option("--check-config", is_flag=True, help="Only say whether the configuration and the inventory can be used.")
@click.option("--online", is_flag=True, help="With --check-config: ask resolvers, history and receivers, too.")
def run(config_path: Path, check_config: bool, online: bool) -> None:
    """Run every stage in one process by CONFIG, until Ctrl-C or SIGTERM."""
    from anchorwatch.configuration.loading import read_config
    from anchorwatch.telemetry import set_up_logging

    sections, config = read_config(config_path)
    if check_config:
        _check_inventory(config)
        warn_of_gaps(config)
        if online:
            from anchorwatch.cli.online import check_online

            if problems := check_online(config):
                raise ConfigError(problems)
        return
    if online:
        raise click.UsageError("--online belongs to --check-config")
    if config.bus is not None:
        raise click.UsageError(
            f"{config_path}: bus.url is Kafka, so each stage is a process: anchorwatch collector, analyzer, alerts"
        )
    set_up_logging(config.log.level, config.log.format)
    from anchorwatch.pipeline.run import Instance, run_until_signalled

    warn_of_gaps(config)
    instance = Instance(config, (config_path, sections))

    def started() -> None:
        click.echo(f"anchorwatch is watching; the page is at {instance.server.url}", err=True)

    run_until_signalled(instance, started=started)


def warn_of_gaps(config: "Config") -> None:
    """Say on standard error which findings would notify nobody, and which receivers would get nothing."""
    for warning in config.warnings:
        click.echo(f"warning: {warning}", err=True)


def _check_inventory(config: "Config") -> None:
    from analyzer.history.connection import NO_ENGINE, is_engine_installed
    from collector.inventory.sources import load_source

    problems: list[str] = []
    if config.history.url.startswith("chdb:") and not is_engine_installed():
        problems.append(NO_ENGINE)
    identities: list[Any] = []
    noted: list[str] = []
    for source in config.collector.sources:
        try:
            loaded = load_source(source)
        except ValueError as error:
            problems.append(str(error))
            continue
        problems += [*loaded.problems, *(problem for _, problem in loaded.unread)]
        identities += loaded.identities
        noted += loaded.notes
        if not any(identity.endpoints for identity in loaded.identities) and not (loaded.problems or loaded.unread):
            problems.append(f"{source.key}: there is no identity with an endpoint in it")
    if problems:
        raise ConfigError(problems)
    for note in noted:
        click.echo(f"not watchable: {note}", err=True)
    hosts = {endpoint.host for identity in identities for endpoint in identity.endpoints}
    click.echo(f"the configuration is fine; {len(identities)} identities, {len(hosts)} hosts")
