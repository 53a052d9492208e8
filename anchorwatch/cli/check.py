"""``anchorwatch check``: whole inventories once, without a database."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anchorwatch.cli.arguments import identity_options, read_anchors, read_points, read_policy
from anchorwatch.cli.terminal import to_ascii_json

if TYPE_CHECKING:
    from collector.inventory.rows import Inventory

STANDARD_INPUT = "standard input"


@click.command()
@click.argument("inventories", metavar="INVENTORY...", nargs=-1, required=True)
@click.option(
    "--input-format",
    type=click.Choice(["yaml", "json", "csv", "txt", "kubernetes", "cyclonedx", "mcp", "oidc"]),
    help="How to read all of them; default: each by its name and looks.",
)
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="Vantages, anchors and policy from there."
)
@click.option("--resolver", "resolvers", metavar="URL", multiple=True, help="Instead of the configuration's vantages.")
@identity_options
@click.option("--trust-anchor", metavar="FILE", help="DS or DNSKEY records; default: the root's, shipped.")
@click.option(
    "--format", "format_name", type=click.Choice(["table", "json", "plugin"]), default="table", show_default=True
)
@click.option(
    "--all",
    "all_endpoints",
    is_flag=True,
    help="List every check (name, type, vantage) in the table, not only what is wrong.",
)
@click.option("--no-claims", is_flag=True, help="Do not ask what the resolvers themselves claim: half the questions.")
def check(
    inventories: tuple[str, ...],
    input_format: str | None,
    config_path: Path | None,
    resolvers: tuple[str, ...],
    ca_file: str | None,
    server_name: str | None,
    pins: tuple[str, ...],
    trust_anchor: str | None,
    format_name: str,
    all_endpoints: bool,
    no_claims: bool,
) -> None:
    """Check whole inventories once, without a database.

    Each INVENTORY is a file (YAML, JSON, CSV, a plain list of hosts, or what docs/inventories.md names), a folder of
    such files, or - for standard input.

    Exit status: 0 nothing, 1 a medium or high finding, 2 bogus or critical, 3 not everything could be determined, or
    there was nothing to check.
    """
    import asyncio

    import msgspec

    from analyzer.findings.blast import Consumers
    from anchorwatch.cli.report import make_report, to_plugin_line, to_table
    from anchorwatch.configuration.egress import environment_egress
    from anchorwatch.configuration.loading import load_config
    from anchorwatch.judging import PUBLIC, Settings, judge_all
    from collector.polling.roster import subjects_of

    loaded = load_inventories(inventories, input_format)
    if config_path is not None:
        collector = load_config(config_path).collector
        settings = Settings(
            collector.anchors,
            collector.policy,
            None,
            collector.timeout_s,
            collector.attempts,
            collector.egress,
            collector.authorities or PUBLIC,
        )
        points = list(collector.vantages)
    else:
        settings, points = Settings(read_anchors(trust_anchor), read_policy(()), egress=environment_egress()), []
    if resolvers or not points or ca_file is not None or server_name is not None or pins:
        points = read_points(resolvers, ca_file, server_name, pins)
    consumers = Consumers()
    for identity in loaded.identities:
        consumers.put(identity.id, identity)
    subjects = subjects_of(loaded.identities, [point.name for point in points])
    with _ProgressBar(len(subjects)) as advance:
        judgements = asyncio.run(judge_all(points, settings, subjects, claims=not no_claims, progress=advance))
    report = make_report(judgements, consumers, loaded.problems)
    match format_name:
        case "json":
            click.echo(to_ascii_json(msgspec.json.encode(report)))
        case "plugin":
            click.echo(to_plugin_line(report))
        case _:
            click.echo(to_table(report, all_endpoints=all_endpoints))
    sys.exit(report.exit_code)


def load_inventories(words: Sequence[str], format_name: str | None) -> "Inventory":
    """Return what these files and folders say together, ``-`` being standard input; what can't be read is a problem."""
    from collector.config import InventorySource
    from collector.inventory.formats.known import recognise_text
    from collector.inventory.rows import Inventory, merge_inventories
    from collector.inventory.sources import load_source, parse_source
    from collector.inventory.supplies.files import MAX_FILE_BYTES, read_file

    parts = []
    for word in dict.fromkeys(words):
        path = Path(STANDARD_INPUT if word == "-" else word)
        try:
            if "://" in word:
                raise ValueError("an inventory is a file, not a URL; for one name: validate NAME")
            if word != "-" and path.is_dir():
                part = load_source(InventorySource(path=path, is_folder=True, format=format_name or ""))
            else:
                content = sys.stdin.buffer.read(MAX_FILE_BYTES) if word == "-" else read_file(path)
                chosen = format_name or recognise_text(content, str(path))
                part = parse_source(InventorySource(path=path, format=chosen), content)
            unread = tuple(problem for _, problem in part.unread)
            if not any(identity.endpoints for identity in part.identities) and not part.problems and not unread:
                raise ValueError(f"{path}: there is no identity with an endpoint in it")
            parts += [part, Inventory(problems=unread)]
        except ValueError as error:
            click.echo(str(error), err=True)
            parts.append(Inventory((), (str(error),)))
    return merge_inventories(parts)


class _ProgressBar:
    """A progress bar on a terminal's standard error; silent elsewhere."""

    def __init__(self, length: int) -> None:
        self._bar = (
            click.progressbar(
                length=length, label="validating", file=sys.stderr, update_min_steps=max(1, length // 200)
            )
            if sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> Callable[[], None] | None:
        if self._bar is None:
            return None
        bar = self._bar.__enter__()
        return lambda: bar.update(1)

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
