"""``anchorwatch inventory``: what is kept of each source, and a person's acceptance of a loss.

An acceptance is a file beside the rows that are kept: a user who may write there may accept, and nobody over HTTP.
"""

import getpass
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collector.config import InventorySource
    from collector.inventory.retention import Judged

DEFAULT_CONFIG = "anchorwatch.yaml"
LOOK_EVERY_S = 0.2


@click.group()
def inventory() -> None:
    """Show what is kept of each inventory source, or accept that one lost rows."""


@inventory.command("show")
@click.argument("config_path", metavar="[CONFIG]", default=DEFAULT_CONFIG, type=click.Path(path_type=Path))
def show(config_path: Path) -> None:
    """List the sources with their last good rows, and what each would lose."""
    from alerts.delivery.wording import printable

    config, store = _open(config_path)
    for source in config.collector.sources:
        judged = _judge(config, store, source)
        kept = store.load(source.path)
        click.echo(f"{source.path}: {len(kept.identities)} rows kept{'' if kept.is_known else ', none were known yet'}")
        for sentence in filter(None, (judged.shrunk, judged.stale)):
            click.echo(f"  {printable(sentence)}")
        for one in kept.acceptances[-3:]:
            click.echo(f"  accepted {one.at:%Y-%m-%d %H:%M} UTC by {printable(one.who)}: {printable(one.why)}")


@inventory.command("accept")
@click.argument("words", metavar="[CONFIG] SOURCE", nargs=-1, required=True)
@click.option("--why", default="", help="The reason; it is kept beside your name.")
@click.option("--wait", default=15.0, show_default=True, help="Seconds to wait for the running process to take it up.")
def accept(words: tuple[str, ...], why: str, wait: float) -> None:
    """Accept that SOURCE, a file of the inventory, lost the rows that it lost: the last good ones count no more.

    CONFIG is anchorwatch.yaml unless it is given.
    """
    from collector.inventory.retention import Acceptance
    from schemas.messages import utc

    if len(words) > 2:
        raise click.UsageError("give the configuration and one source")
    config, store = _open(Path(words[0]) if len(words) == 2 else Path(DEFAULT_CONFIG))
    source = _chosen(config, words[-1])
    judged = _judge(config, store, source)
    if judged.kept.pending is None:
        click.echo(f"{source.path}: nothing waits to be accepted; {len(judged.kept.identities)} rows count")
        return
    click.echo(judged.shrunk)
    who = os.environ.get("SUDO_USER") or getpass.getuser()
    digest = judged.kept.pending.digest
    store.accept(source.path, Acceptance(digest=digest, who=who, why=why, at=utc(time.time())))
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        kept = store.load(source.path)
        if kept.is_known and kept.accepted == digest and kept.pending is None:
            click.echo(f"accepted; {len(kept.identities)} rows count now")
            return
        time.sleep(LOOK_EVERY_S)
    click.echo(
        "the acceptance is left for the process that reads this source, which has not taken it up yet: it counts while "
        "the source says the same"
    )


def _open(config_path: Path) -> tuple[Any, Any]:
    from anchorwatch.configuration.loading import load_config
    from collector.inventory.store import Store

    config = load_config(config_path)
    return config, Store(config.collector.state)


def _chosen(config: Any, word: str) -> "InventorySource":
    found = [one for one in config.collector.sources if word in (str(one.path), one.path.name)]
    found = found or [one for one in config.collector.sources if one.path == Path(word).absolute()]
    found = found or [one for one in config.collector.sources if one.path.resolve() == Path(word).resolve()]
    if len(found) != 1:
        known = ", ".join(str(one.path) for one in config.collector.sources)
        raise click.UsageError(f"the configuration has no single source of this name; its sources: {known}")
    chosen: InventorySource = found[0]
    return chosen


def _judge(config: Any, store: Any, source: "InventorySource") -> "Judged":
    """Return what the running process would decide now, without changing anything."""
    from collector.inventory.retention import Judged, Limits, describe_unread, judge_source
    from collector.inventory.sources import load_source
    from schemas.messages import utc

    kept = store.load(source.path)
    elsewhere = set()
    for other in config.collector.sources:
        if other.path != source.path:
            try:
                elsewhere |= {one.id for one in load_source(other).identities}
            except ValueError:
                continue
    try:
        read = load_source(source)
    except ValueError as error:
        return Judged(kept=kept, stale=str(error), shrunk=describe_unread(kept))
    limits = Limits(max_shrink=source.max_shrink, accept_after_s=source.accept_after_s)
    return judge_source(kept, read, limits, now=utc(time.time()), elsewhere=elsewhere)
