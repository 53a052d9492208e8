"""``anchorwatch demo``: incidents on a signed DNS world on loopback."""

import sys

import click


@click.command()
@click.option("--exit", "exit_after", is_flag=True, help="End after the last incident instead of serving the page.")
@click.option("--listen", default="127.0.0.1:8053", show_default=True, help="Where the page is served.")
def demo(exit_after: bool, listen: str) -> None:
    """Stage incidents on a signed DNS world on loopback and show what comes of them. No network is needed."""
    from anchorwatch.lab.demo import run_demo

    sys.exit(run_demo(exit_after=exit_after, listen=listen))
