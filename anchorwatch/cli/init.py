"""``anchorwatch init``: a first configuration, by what this machine and its resolvers can do."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anchorwatch.cli.arguments import DEFAULT_CONFIG, read_anchors, read_points, read_policy

if TYPE_CHECKING:
    from anchorwatch.diagnosis.sights import Sight
    from collector.config import VantagePoint

INVENTORY = "inventory.yaml"
LIKELY = (INVENTORY, "inventory.csv", "inventory.json", "accounts.csv", "accounts.yaml", "hosts.txt")
UPSTREAM = Path("/run/systemd/resolve/resolv.conf")
"""Whom systemd-resolved asks, where /etc/resolv.conf names itself."""


@click.command()
@click.argument("output", metavar="[CONFIG]", default=DEFAULT_CONFIG, type=click.Path(path_type=Path))
@click.option("--inventory", "inventory_path", metavar="FILE", type=click.Path(path_type=Path), help="Who uses what.")
@click.option("--hook", metavar="URL", help="A webhook that is told, beside the log.")
@click.option("--history", "history", metavar="FOLDER", help="Where the history is kept; default: data.")
@click.option("--resolver", "resolvers", metavar="URL", multiple=True, help="Instead of the system's resolvers.")
@click.option("--trust-anchor", metavar="FILE", type=click.Path(path_type=Path), help="Default: the root's, shipped.")
@click.option("--yes", is_flag=True, help="Ask nothing; without a terminal nothing is asked either.")
@click.option("--force", is_flag=True, help="Write CONFIG although it is there already.")
def init(
    output: Path,
    inventory_path: Path | None,
    hook: str | None,
    history: str | None,
    resolvers: tuple[str, ...],
    trust_anchor: Path | None,
    yes: bool,
    force: bool,
) -> None:
    """Write a first configuration, commented, that ``run`` takes at once.

    It looks at the resolvers of this machine for some seconds, and asks three questions at most. An inventory of one
    example is written where none is named; what is there already is never written over, but CONFIG with --force.
    """
    from anchorwatch.diagnosis.draft import Draft, write_config

    base = output.parent
    if not base.is_dir():
        raise click.ClickException(f"there is no folder {base}: make it first")
    if not force and os.path.lexists(output):
        raise click.ClickException(f"{output} is there already: name another file, or write over it with --force")
    sights = _choose_resolvers(resolvers, trust_anchor)
    ask = _asker(asks=not yes and sys.stdin.isatty())
    inventory = inventory_path or Path(ask("Who uses which names: a file", str(_likely_inventory(base))))
    hook = ask("A webhook to tell besides the log: a URL, or nothing", "") if hook is None else hook
    history = history or ask("Where the history is kept: a folder", "data")
    if not inventory.parent.is_dir():
        raise click.ClickException(f"there is no folder {inventory.parent}: make it first")
    if not inventory.exists() and inventory.name != INVENTORY:
        raise click.ClickException(
            f"there is no {inventory}: name an inventory that is there, or {INVENTORY} to have an example written"
        )
    draft = Draft(
        inventory=os.path.relpath(inventory, base),
        sights=sights,
        history=history,
        hook=hook,
        anchors=os.path.relpath(trust_anchor, base) if trust_anchor is not None else "",
    )
    made = _write(output, write_config(draft), inventory, force=force)
    _conclude(output, made, sights)


def _choose_resolvers(urls: tuple[str, ...], trust_anchor: Path | None) -> "list[Sight]":
    """Return what the resolvers showed that are to be written down: those of the system, or whom its stub asks."""
    points = read_points(urls)
    sights = _look(points, trust_anchor)
    if urls or any(sight.can_validate for sight in sights):
        return sights
    upstream = _upstream()
    above = _look(upstream, trust_anchor) if upstream else []
    if any(sight.can_validate for sight in above):
        click.echo(f"the system's stub drops DNSSEC records: the resolvers of {UPSTREAM} are taken", err=True)
        return above
    return sights


def _upstream() -> "list[VantagePoint]":
    from collector.config import VantagePoint
    from collector.resolvers.address import system_resolvers

    try:
        text = UPSTREAM.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [VantagePoint(name=f"upstream-{address.host}", address=address) for address in system_resolvers(text)]


def _look(points: "Sequence[VantagePoint]", trust_anchor: Path | None) -> "list[Sight]":
    from anchorwatch.configuration.egress import environment_egress
    from anchorwatch.diagnosis.examination import look_within
    from anchorwatch.judging import Settings

    anchors = read_anchors(str(trust_anchor) if trust_anchor is not None else None)
    return look_within(points, Settings(anchors, read_policy(()), egress=environment_egress()))


def _likely_inventory(base: Path) -> Path:
    return next((base / name for name in LIKELY if (base / name).is_file()), base / INVENTORY)


def _asker(*, asks: bool) -> Callable[[str, str], str]:
    def ask(question: str, default: str) -> str:
        if not asks:
            return default
        return str(click.prompt(question, default=default, show_default=bool(default), err=True))

    return ask


def _write(output: Path, text: str, inventory: Path, *, force: bool) -> list[Path]:
    """Write what is not there yet, and the configuration; return what was made. What can't be used is taken back.

    Raises:
        ConfigError: the inventory that is there, or what was answered, can't be used.
    """
    from anchorwatch.configuration.loading import load_config
    from anchorwatch.diagnosis.draft import INVENTORY as EXAMPLE
    from schemas.faults import ConfigError

    before = output.read_bytes() if force and output.is_file() else None
    made: list[Path] = []
    try:
        if not inventory.exists():
            with inventory.open("x", encoding="utf-8") as file:
                made.append(inventory)
                file.write(EXAMPLE.format(name=inventory.name))
        with output.open("w" if force else "x", encoding="utf-8") as file:
            made.append(output)
            file.write(text)
        load_config(output)
    except (OSError, ConfigError):
        for path in made:
            path.unlink(missing_ok=True)
        if before is not None:
            output.write_bytes(before)
        raise
    return made


def _conclude(output: Path, made: Sequence[Path], sights: "Sequence[Sight]") -> None:
    from analyzer.history.connection import NO_ENGINE, is_engine_installed

    for path in made:
        click.echo(f"written: {path}")
    if not any(sight.can_validate for sight in sights):
        click.echo("warning: no resolver was seen to hand DNSSEC records on: see 'vantages' in the file", err=True)
    if not is_engine_installed():
        click.echo(f"warning: {NO_ENGINE}", err=True)
    click.echo(f"next: anchorwatch doctor {output}, then anchorwatch run {output}")
