"""The command line. Heavy parts are imported by the commands that need them, so that ``validate`` starts fast."""

from typing import NoReturn

import click

from anchorwatch import __version__
from anchorwatch.cli.acts import accept, ack, acts, change, note, reopen
from anchorwatch.cli.ask import evidence, findings, history, incidents
from anchorwatch.cli.assessment import digest, report
from anchorwatch.cli.backtest import backtest
from anchorwatch.cli.check import check
from anchorwatch.cli.completion import completion, man
from anchorwatch.cli.dead import dead
from anchorwatch.cli.demo import demo
from anchorwatch.cli.doctor import doctor
from anchorwatch.cli.exit_status import run_and_exit
from anchorwatch.cli.init import init
from anchorwatch.cli.inventory import inventory
from anchorwatch.cli.notify import notify
from anchorwatch.cli.replay import replay
from anchorwatch.cli.routes import routes
from anchorwatch.cli.run import run
from anchorwatch.cli.schema import schema
from anchorwatch.cli.show import finding, incident, why
from anchorwatch.cli.silence import silence
from anchorwatch.cli.stages import alerts, analyzer, collector
from anchorwatch.cli.validate import validate
from anchorwatch.cli.zones import zones
from anchorwatch.garbage import collect_seldom

COMMANDS = (
    *(init, doctor, validate, check, run, collector, analyzer, alerts, demo, replay),
    *(findings, incidents, history, evidence, dead, inventory),
    *(zones, change, accept, acts, backtest),
    *(incident, finding, why, ack, reopen, note, silence, routes, notify),
    *(report, digest, schema, completion, man),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="anchorwatch")
def cli() -> None:
    """Watch the integrity of the names that machine identities trust.

    One name now: validate. A whole inventory once: check. For good: run.
    """


for command in COMMANDS:
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command line and exit."""
    collect_seldom()
    run_and_exit(cli)


if __name__ == "__main__":
    main()
