"""``anchorwatch collector``, ``analyzer`` and ``alerts``: one stage as a process, over Kafka."""

from pathlib import Path

import click

from anchorwatch.cli.run import warn_of_gaps


@click.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
def collector(config_path: Path) -> None:
    """Run a collector by CONFIG, over Kafka; several share the work."""
    _run_stage("collector", config_path)


@click.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
def analyzer(config_path: Path) -> None:
    """Run an analyzer by CONFIG, over Kafka; of several one is active."""
    _run_stage("analyzer", config_path)


@click.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
def alerts(config_path: Path) -> None:
    """Run the alerts by CONFIG, over Kafka; of several one is active."""
    _run_stage("alerts", config_path)


def _run_stage(stage: str, config_path: Path) -> None:
    from anchorwatch.configuration.loading import read_config
    from anchorwatch.telemetry import set_up_logging

    sections, config = read_config(config_path)
    set_up_logging(config.log.level, config.log.format)
    from anchorwatch.kafka.stages import make_stage
    from anchorwatch.pipeline.reload import ConfigurationFile
    from anchorwatch.pipeline.run import run_until_signalled

    if stage == "alerts":
        warn_of_gaps(config)
    process = make_stage(stage, config, ConfigurationFile(config_path, sections, config))
    run_until_signalled(
        process, started=lambda: click.echo(f"{stage} runs; metrics are at {process.server.url}/metrics", err=True)
    )
