"""``anchorwatch inventory``: what is kept of each source, where a host stands, what differs, and a person's acceptance.

An acceptance is a file beside the rows that are kept: a user who may write there may accept, and nobody over HTTP.
"""

import getpass
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anchorwatch.cli.arguments import DEFAULT_CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from collector.config import InventorySource
    from collector.inventory.retention import Judged, Kept
    from collector.inventory.rows import Inventory
    from schemas.messages import Identity

LOOK_EVERY_S = 0.2
MOST_NOTES = 5


@click.group()
def inventory() -> None:
    """Show what is kept of each inventory source and where a host stands, or accept that one lost rows."""


@inventory.command("show")
@click.argument("config_path", metavar="[CONFIG]", default=DEFAULT_CONFIG, type=click.Path(path_type=Path))
@click.option(
    "--endpoints", "all_endpoints", is_flag=True, help="List each endpoint: who consumes it, and where it stands."
)
def show(config_path: Path, all_endpoints: bool) -> None:
    """List the sources with their last good rows, what each would lose, and what in it can't be watched."""
    from alerts.delivery.wording import printable

    config, store = _open(config_path)
    said = _read_all(config)
    for source in config.collector.sources:
        judged, read = _judge(store, source, said), said[source.key]
        kept = store.load(source.key)
        click.echo(f"{source.key}: {_say_kept(kept, read)}")
        for sentence in filter(None, (judged.shrunk, judged.stale)):
            click.echo(f"  {printable(sentence)}")
        for one in kept.acceptances[-3:]:
            click.echo(f"  accepted {one.at:%Y-%m-%d %H:%M} UTC by {printable(one.who)}: {printable(one.why)}")
        if isinstance(read, ValueError):
            continue
        for note in read.notes if all_endpoints else read.notes[:MOST_NOTES]:
            click.echo(f"  not watchable: {printable(note)}")
        if len(read.notes) > MOST_NOTES and not all_endpoints:
            click.echo(f"  not watchable: {len(read.notes) - MOST_NOTES} more; --endpoints lists them")
        if all_endpoints:
            _list_endpoints(read, lambda host: True)


@inventory.command("where")
@click.argument("words", metavar="[CONFIG] HOST", nargs=-1, required=True)
def where(words: tuple[str, ...]) -> None:
    """Say why HOST is watched: who consumes it, and in which file, object and line that stands.

    Exit status: 0 it is there, 1 it is in no source as they are now.
    """
    from collector.inventory.hosts import parse_host

    if len(words) > 2:
        raise click.UsageError("give the configuration and one host")
    config, store = _open(Path(words[0]) if len(words) == 2 else Path(DEFAULT_CONFIG))
    try:
        host = parse_host(words[-1])
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    said = [one for one in _read_all(config).values() if not isinstance(one, ValueError)]
    listed = [_list_endpoints(read, lambda one: one == host) for read in said]
    if not any(listed):
        kept = [source.key for source in config.collector.sources if _is_kept(store.load(source.key).identities, host)]
        click.echo(
            f"{host} is in no source as they are now"
            + (f"; it stays watched by the last good rows of {', '.join(kept)}" if kept else "")
        )
        sys.exit(1)


@inventory.command("diff")
@click.argument("old", type=click.Path(path_type=Path, exists=True))
@click.argument("new", type=click.Path(path_type=Path, exists=True))
def diff(old: Path, new: Path) -> None:
    """List who is in NEW and not in OLD (+), in OLD and not in NEW (-), and who says something else (~).

    Both are files or folders, read by their names and looks.

    Exit status: 0 they say the same, 1 they differ, 2 one of them can't be read.
    """
    from alerts.delivery.wording import printable
    from collector.inventory.differences import find_differences

    before, after = _read_alone(old), _read_alone(new)
    difference = find_differences(before, after)
    for line in difference.lines():
        click.echo(printable(line))
    click.echo("; ".join(f"{count} {kind}" for kind, count in difference.counts.items()))
    sys.exit(1 if difference else 0)


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
    judged = _judge(store, source, _read_all(config))
    if judged.kept.pending is None:
        click.echo(f"{source.key}: nothing waits to be accepted; {len(judged.kept.identities)} rows count")
        return
    click.echo(judged.shrunk)
    who = os.environ.get("SUDO_USER") or getpass.getuser()
    digest = judged.kept.pending.digest
    store.accept(source.key, Acceptance(digest=digest, who=who, why=why, at=utc(time.time())))
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        kept = store.load(source.key)
        if kept.is_known and kept.accepted == digest and kept.pending is None:
            click.echo(f"accepted; {len(kept.identities)} rows count now")
            return
        time.sleep(LOOK_EVERY_S)
    click.echo(
        "the acceptance is left for the process that reads this source, which has not taken it up yet: it counts while "
        "the source says the same"
    )


def _say_kept(kept: "Kept", read: "Inventory | ValueError") -> str:
    said = f"{len(kept.identities)} rows kept" if kept.is_known else "no run has read it yet"
    return said if isinstance(read, ValueError) else f"{said}, {len(read.identities)} in it now"


def _open(config_path: Path) -> tuple[Any, Any]:
    from anchorwatch.configuration.loading import load_config
    from collector.inventory.store import Store

    config = load_config(config_path)
    return config, Store(config.collector.state)


def _chosen(config: Any, word: str) -> "InventorySource":
    sources = config.collector.sources
    found = [one for one in sources if word in (one.key, one.path.name, one.web.url if one.web else None)]
    files = [one for one in sources if one.web is None]
    found = found or [one for one in files if one.path == Path(word).absolute()]
    found = found or [one for one in files if one.path.resolve() == Path(word).resolve()]
    if len(found) != 1:
        known = ", ".join(one.key for one in sources)
        raise click.UsageError(f"the configuration has no single source of this name; its sources: {known}")
    chosen: InventorySource = found[0]
    return chosen


def _read_all(config: Any) -> "dict[str, Inventory | ValueError]":
    """Return what each source says now, by its key, or why it says nothing; waits for those on the web."""
    from collector.inventory.sources import load_source

    found: dict[str, Inventory | ValueError] = {}
    for source in config.collector.sources:
        try:
            found[source.key] = load_source(source, keeps_places=True)
        except ValueError as error:
            found[source.key] = error
    return found


def _judge(store: Any, source: "InventorySource", said: "Mapping[str, Inventory | ValueError]") -> "Judged":
    """Return what the running process would decide now, without changing anything."""
    from collector.inventory.retention import Judged, Limits, describe_unread, judge_source
    from schemas.messages import utc

    kept, read = store.load(source.key), said[source.key]
    if isinstance(read, ValueError):
        return Judged(kept=kept, stale=str(read), shrunk=describe_unread(kept))
    others = [one for key, one in said.items() if key != source.key and not isinstance(one, ValueError)]
    elsewhere = {identity.id for other in others for identity in other.identities}
    limits = Limits(max_shrink=source.max_shrink, accept_after_s=source.accept_after_s)
    return judge_source(kept, read, limits, now=utc(time.time()), elsewhere=elsewhere)


def _list_endpoints(read: "Inventory", fits: "Callable[[str], bool]") -> bool:
    """Print each endpoint that fits with who consumes it and where it stands; return whether there is one."""
    from alerts.delivery.wording import printable

    found = False
    for identity in read.identities:
        for endpoint in identity.endpoints:
            if not fits(endpoint.host):
                continue
            found = True
            port = f":{endpoint.port}" if endpoint.port else ""
            types = " ".join(endpoint.types)
            place = read.places.get((identity.id, endpoint.host), "")
            owner = f", owner {identity.owner}" if identity.owner else ""
            origin = f" ({endpoint.origin})" if endpoint.origin else ""
            click.echo(printable(f"  {endpoint.host}{port} {types}: {identity.id}{owner}, at {place}{origin}"))
    return found


def _is_kept(identities: "Sequence[Identity]", host: str) -> bool:
    return any(endpoint.host == host for one in identities for endpoint in one.endpoints)


def _read_alone(path: Path) -> "dict[str, Identity]":
    from collector.config import InventorySource
    from collector.inventory.formats.known import recognise_text
    from collector.inventory.sources import load_source
    from collector.inventory.supplies.files import read_file
    from schemas.faults import ConfigError

    try:
        chosen = "" if path.is_dir() else recognise_text(read_file(path), str(path))
        read = load_source(InventorySource(path=path, is_folder=path.is_dir(), format=chosen))
    except ValueError as problem:
        raise ConfigError([str(problem)]) from None
    for sentence in (*read.problems, *(why for _, why in read.unread)):
        click.echo(f"warning: {sentence}", err=True)
    return {one.id: one for one in read.identities}
