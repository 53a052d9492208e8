"""The command line. Heavy parts are imported by the commands that need them, so that ``validate`` starts fast."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from anchorwatch import __version__
from anchorwatch.cli.dead import dead
from anchorwatch.cli.inventory import inventory, load_inventories
from anchorwatch.cli.terminal import lost_output, prepare_streams, to_ascii_json, wants_colour
from schemas.faults import AnchorwatchError, ConfigError

MONITORING = frozenset({"validate", "check"})
# The console is a receiver of theirs: what it could not write was not told.
SERVICES = frozenset({"run", "collector", "analyzer", "alerts", "demo"})
USAGE_UNKNOWN = 3
USAGE = 2
DEFAULT_API = "http://127.0.0.1:8053"
MAX_AT = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="anchorwatch")
def cli() -> None:
    """Watch the integrity of the names that machine identities trust.

    One name now: validate. A whole inventory once: check. For good: run.
    """


class At(click.ParamType[datetime]):
    """An RFC 3339 time within what a signature's 32 bits can mean."""

    name = "RFC3339"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware instant."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            self.fail(f"{value!r} is no RFC 3339 time such as 2026-11-24T12:00:00Z", param, ctx)
        if at.tzinfo is None:
            self.fail(f"{value!r} has no time zone: add Z or an offset", param, ctx)
        if not datetime(1970, 1, 1, tzinfo=UTC) <= at <= MAX_AT:
            self.fail(f"{value!r} lies outside 1970 to 2106, the span that signature times can mean", param, ctx)
        return at.astimezone(UTC)


def _anchors(path: str | None) -> Any:
    from anchorwatch.configuration.anchors import read_anchor_file
    from collector.dnssec.anchors import IANA, TrustAnchors, parse_anchors

    if path is None:
        return parse_anchors(IANA, "shipped")
    if Path(path).is_file() and not Path(path).read_text(encoding="utf-8", errors="replace").strip():
        click.echo(f"{path} is empty: nothing is trusted, so every name is insecure", err=True)
        return TrustAnchors({})
    try:
        return read_anchor_file(Path(path))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _points(resolvers: tuple[str, ...]) -> Any:
    from anchorwatch.configuration.vantages import RESOLV_CONF, default_vantages
    from collector.config import VantagePoint
    from collector.resolvers.address import parse_address

    if not resolvers:
        points = default_vantages()
        if not points:
            raise click.UsageError(f"{RESOLV_CONF} names no resolver: say --resolver udp://ADDRESS")
        return points
    try:
        addresses = [parse_address(url) for url in resolvers]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return [VantagePoint(name=address.to_url(), address=address) for address in addresses]


def _policy(pairs: tuple[str, ...]) -> Any:
    from collector.dnssec.policy import policy_from_pairs

    try:
        return policy_from_pairs(list(pairs))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _subject(name: str, rdtype: str) -> tuple[str, str]:
    from collector.dnssec import names, records
    from collector.inventory.hosts import parse_host
    from schemas.redaction import safe, without_quoted

    if not name.isascii() or any(character in name for character in "/@:;=?#"):
        try:
            name = parse_host(name)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    try:
        names.from_text(name)
        records.type_from_text(rdtype)
    except ValueError as error:
        raise click.UsageError(f"{safe(name)} {safe(rdtype)}: {without_quoted(str(error))}") from error
    return name, rdtype.upper()


@cli.command()
@click.argument("name", required=False)
@click.argument("rdtype", metavar="[TYPE]", default="A")
@click.option("--resolver", "resolvers", metavar="URL", multiple=True, help="udp://, tcp://, tls:// or https://.")
@click.option("--trust-anchor", metavar="FILE", help="DS or DNSKEY records; default: the root's, shipped.")
@click.option("--at", type=At(), help="Validate as of this time.")
@click.option("--policy", metavar="KEY=VALUE", multiple=True, help="Change a default of validation; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print the judgement as one JSON object.")
@click.option("--batch", type=click.File("r", encoding="utf-8"), help="Read NAME TYPE lines; one JSON object a line.")
@click.option("--timeout", default=1.5, show_default=True, help="Seconds to wait for the first try.")
@click.option("--attempts", default=3, show_default=True, help="Tries a question.")
def validate(
    name: str | None,
    rdtype: str,
    resolvers: tuple[str, ...],
    trust_anchor: str | None,
    at: datetime | None,
    policy: tuple[str, ...],
    as_json: bool,
    batch: Any,
    timeout: float,
    attempts: int,
) -> None:
    """Validate one NAME now, or at a given time, from the trust anchor down.

    Exit status: 0 secure, 1 insecure, 2 bogus, 3 indeterminate or a usage error; with --batch 0 once all are printed.
    """
    from anchorwatch.cli.once import Settings, judge_one
    from anchorwatch.configuration.egress import environment_egress

    if (name is None) == (batch is None):
        raise click.UsageError("give either a NAME or --batch FILE")
    settings = Settings(_anchors(trust_anchor), _policy(policy), at, timeout, attempts, environment_egress())
    point = _points(resolvers)[0]
    if batch is not None:
        _validate_batch(batch, point, settings)
        return
    assert name is not None
    subject = _subject(name, rdtype)
    judgement = asyncio.run(judge_one(point, settings, *subject, claim=at is None))
    if as_json:
        import msgspec

        click.echo(to_ascii_json(msgspec.json.encode(judgement)))
    else:
        from anchorwatch.cli.chain_view import show

        click.echo(show(judgement, judgement.validated_at, claims_asked=at is None))
    sys.exit({"secure": 0, "insecure": 1, "bogus": 2, "indeterminate": 3}[judgement.verdict])


def _validate_batch(batch: Any, point: Any, settings: Any) -> None:
    import msgspec

    from anchorwatch.cli.once import judge_all
    from collector.dnssec import names, records
    from collector.polling.memory import Subject

    subjects = []
    try:
        lines = batch.readlines()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{batch.name}: not UTF-8 at octet {error.start}") from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            name, rdtype = _subject(words[0], words[1] if len(words) > 1 else "A")
        except click.UsageError as error:
            raise click.UsageError(f"{batch.name}:{number}: {error.message}") from error
        subjects.append(Subject(names.from_text(name), records.type_from_text(rdtype), point.name))
    for judgement in asyncio.run(judge_all([point], settings, subjects, claims=False)):
        click.echo(to_ascii_json(msgspec.json.encode(judgement)))


@cli.command()
@click.argument("inventories", metavar="INVENTORY...", nargs=-1, required=True)
@click.option(
    "--input-format",
    type=click.Choice(["yaml", "json", "csv", "txt"]),
    help="How to read all of them; default: by the name, and standard input by its looks.",
)
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="Vantages, anchors and policy from there."
)
@click.option("--resolver", "resolvers", metavar="URL", multiple=True, help="Instead of the configuration's vantages.")
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
    trust_anchor: str | None,
    format_name: str,
    all_endpoints: bool,
    no_claims: bool,
) -> None:
    """Check whole inventories once, without a database.

    Each INVENTORY is a file (YAML, JSON, CSV, or a plain list of hosts), or - for standard input.

    Exit status: 0 nothing, 1 a medium or high finding, 2 bogus or critical, 3 not everything could be determined, or
    there was nothing to check.
    """
    import msgspec

    from analyzer.findings.blast import Consumers
    from anchorwatch.cli.once import Settings, judge_all
    from anchorwatch.cli.report import make_report, to_plugin_line, to_table
    from anchorwatch.configuration.egress import environment_egress
    from anchorwatch.configuration.loading import load_config
    from collector.stage import subjects_of

    loaded = load_inventories(inventories, input_format)
    if config_path is not None:
        collector = load_config(config_path).collector
        settings = Settings(
            collector.anchors, collector.policy, None, collector.timeout_s, collector.attempts, collector.egress
        )
        points = list(collector.vantages)
    else:
        settings, points = Settings(_anchors(trust_anchor), _policy(()), egress=environment_egress()), []
    if resolvers or not points:
        points = _points(resolvers)
    consumers = Consumers()
    for identity in loaded.identities:
        consumers.put(identity.id, identity)
    subjects = subjects_of(loaded.identities, [point.name for point in points])
    with _progress(len(subjects)) as advance:
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


class _progress:
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


@cli.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option("--check-config", is_flag=True, help="Only say whether the configuration and the inventory can be used.")
def run(config_path: Path, check_config: bool) -> None:
    """Run every stage in one process by CONFIG, until Ctrl-C or SIGTERM."""
    from anchorwatch.configuration.loading import load_config
    from anchorwatch.telemetry import set_up_logging

    config = load_config(config_path)
    if check_config:
        _check_inventory(config)
        _warn(config)
        return
    if config.bus is not None:
        raise click.UsageError(
            f"{config_path}: bus.url is Kafka, so each stage is a process: anchorwatch collector, analyzer, alerts"
        )
    set_up_logging(config.log.level, config.log.format)
    from anchorwatch.pipeline.run import Instance, run_until_signalled

    _warn(config)
    instance = Instance(config)

    def started() -> None:
        click.echo(f"anchorwatch is watching; the page is at {instance.server.url}", err=True)

    run_until_signalled(instance, started=started)


def _warn(config: Any) -> None:
    """Say on standard error who would be told of nothing."""
    for warning in config.warnings:
        click.echo(f"warning: {warning}", err=True)


def _run_stage(stage: str, config_path: Path) -> None:
    from anchorwatch.configuration.loading import load_config
    from anchorwatch.telemetry import set_up_logging

    config = load_config(config_path)
    set_up_logging(config.log.level, config.log.format)
    from anchorwatch.kafka.stages import make_stage
    from anchorwatch.pipeline.run import run_until_signalled

    if stage == "alerts":
        _warn(config)
    process = make_stage(stage, config)
    run_until_signalled(
        process, started=lambda: click.echo(f"{stage} runs; metrics are at {process.server.url}/metrics", err=True)
    )


@cli.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
def collector(config_path: Path) -> None:
    """Run a collector by CONFIG, over Kafka; several share the work."""
    _run_stage("collector", config_path)


@cli.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
def analyzer(config_path: Path) -> None:
    """Run an analyzer by CONFIG, over Kafka; of several one is active."""
    _run_stage("analyzer", config_path)


@cli.command()
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
def alerts(config_path: Path) -> None:
    """Run the alerts by CONFIG, over Kafka; of several one is active."""
    _run_stage("alerts", config_path)


def _check_inventory(config: Any) -> None:
    from analyzer.history.connection import NO_ENGINE, is_engine_installed
    from collector.inventory.sources import load_source

    problems: list[str] = []
    if config.history.url.startswith("chdb:") and not is_engine_installed():
        problems.append(NO_ENGINE)
    identities: list[Any] = []
    for source in config.collector.sources:
        try:
            loaded = load_source(source)
        except ValueError as error:
            problems.append(str(error))
            continue
        problems += loaded.problems
        identities += loaded.identities
        if not any(identity.endpoints for identity in loaded.identities) and not loaded.problems:
            problems.append(f"{source.path}: there is no identity with an endpoint in it")
    if problems:
        raise ConfigError(problems)
    hosts = {endpoint.host for identity in identities for endpoint in identity.endpoints}
    click.echo(f"the configuration is fine; {len(identities)} identities, {len(hosts)} hosts")


@cli.command()
@click.option("--exit", "exit_after", is_flag=True, help="End after the last incident instead of serving the page.")
@click.option("--listen", default="127.0.0.1:8053", show_default=True, help="Where the page is served.")
def demo(exit_after: bool, listen: str) -> None:
    """Stage incidents on a signed DNS world on loopback and show what comes of them. No network is needed."""
    from anchorwatch.lab.demo import run_demo

    sys.exit(run_demo(exit_after=exit_after, listen=listen))


def _fetch(api: str, token_file: Path | None, path: str, **parameters: str | None) -> Any:
    import urllib3

    from anchorwatch.configuration.egress import environment_egress, open_pool

    fields = {key: value for key, value in parameters.items() if value}
    headers = {"Authorization": f"Bearer {_token(token_file)}"} if token_file is not None else {}
    try:
        pool = open_pool(api, environment_egress())
        answer = pool.request("GET", f"{api}{path}", fields=fields, headers=headers, retries=False, timeout=30.0)
    except urllib3.exceptions.HTTPError as error:
        raise click.ClickException(
            f"no anchorwatch answers at {api} ({type(error).__name__}); is it running? say --api URL"
        ) from error
    try:
        document = json.loads(answer.data or b"null")
    except ValueError as error:
        raise click.ClickException(f"what answers at {api} is no anchorwatch (HTTP {answer.status})") from error
    if answer.status == 401:
        given = f"the token in {token_file} is not its own" if token_file else "say --token-file FILE"
        raise click.ClickException(f"{api} asks for a token: {given}")
    if answer.status != 200:
        raise click.ClickException(
            document.get("error", f"HTTP {answer.status}") if document else f"HTTP {answer.status}"
        )
    return document


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path}: can't be read: {getattr(error, 'strerror', None) or 'not ASCII'}") from error


_token_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="ANCHORWATCH_TOKEN_FILE",
    show_envvar=True,
    help="The file that http.token_file of the instance names.",
)


def _api_option(function: Callable[..., None]) -> Callable[..., None]:
    function = click.option("--json", "as_json", is_flag=True, help="Print what the API returns.")(function)
    function = _token_option(function)
    return click.option("--api", default=DEFAULT_API, show_default=True, metavar="URL", help="The instance to ask.")(
        function
    )


def _print_rows(
    document: list[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str], none: str
) -> None:
    from alerts.delivery.wording import printable

    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    for row in document:
        click.echo(printable(line(row)))
    if not document:
        click.echo(none)


@cli.command()
@click.option("--status", type=click.Choice(["open", "closed", "all"]), default="open", show_default=True)
@click.option("--code", help="Only this code.")
@click.option("--zone", help="Only this cause zone.")
@_api_option
def findings(status: str, code: str | None, zone: str | None, api: str, token_file: Path | None, as_json: bool) -> None:
    """List findings of a running instance."""
    document = _fetch(
        api, token_file, "/api/v1/findings", status=None if status == "all" else status, code=code, zone=zone
    )
    _print_rows(
        document,
        as_json,
        lambda f: (
            f"{f['severity']:8} {f['code']:26} {f['cause_zone'] or f['cause_rrset']}  {f['status']}"
            f"{'' if f['confirmed'] else ' (unconfirmed)'}  since {f['opened_at'][:19]}"
            f"  {len({e.split(' ')[0] for e in f['endpoints']})} hosts, {f['endpoint_count']} names and types,"
            f" {max(f['identity_count'], len(f['identities']))} identities"
            f"  {f['detail']}{'; ' + because if (because := f.get('closed_because', '')) else ''}"
        ),
        "no findings",
    )


@cli.command()
@_api_option
def incidents(api: str, token_file: Path | None, as_json: bool) -> None:
    """List incidents of a running instance: what people were told, or why not."""
    document = _fetch(api, token_file, "/api/v1/incidents")
    _print_rows(
        document,
        as_json,
        lambda i: (
            f"{'OPEN ' if i['open'] else 'ended'} {i['opened_at'][:19]} {i['summary']}"
            f"  [{('told ' + ', '.join(i['notified'])) if i['notified'] else 'not told: ' + i['withheld']}]"
        ),
        "no incidents",
    )


@cli.command()
@click.argument("name")
@click.argument("rdtype", metavar="[TYPE]", default="")
@_api_option
def history(name: str, rdtype: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Show the verdict history of NAME as intervals, newest first."""
    if any(character in name for character in "/@:;=?#"):
        name, _ = _subject(name, rdtype or "A")
    document = _fetch(api, token_file, "/api/v1/history", name=name, type=rdtype.upper())
    _print_rows(
        document,
        as_json,
        lambda h: (
            f"{h['first_seen_at'][:19]} to {h['last_seen_at'][:19]}  {h['verdict']:13} {h['type']:5} {h['vantage']}"
            f"  {', '.join(h['reasons'])}  {'; '.join(h['answers'][:3])}"
        ),
        f"nothing is known of {name}",
    )


@cli.command()
@click.argument("digest")
@click.option("--api", default=DEFAULT_API, show_default=True, metavar="URL", help="The instance to ask.")
@_token_option
@click.option("--json", "as_json", is_flag=True, help="Print the evidence itself.")
def evidence(digest: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Validate again, offline, from the evidence with this DIGEST, at the time of its capture."""
    import msgspec

    from anchorwatch.cli.chain_view import show
    from collector.dnssec.replay import replay
    from schemas.messages import Evidence

    document = _fetch(api, token_file, f"/api/v1/evidence/{digest}")
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    stored = msgspec.convert(document, Evidence, strict=False)
    click.echo(show(replay(stored), stored.at, claims_asked=False))


cli.add_command(dead)
cli.add_command(inventory)


def main() -> NoReturn:
    """Run the command line and exit; usage errors of monitoring commands are 3, since 2 would read as critical."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    prepare_streams(strict_output=command in SERVICES)
    try:
        status = _run_command(command)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    if why := lost_output():
        click.echo(f"anchorwatch: {why}", err=True)
        status = status if command in MONITORING else status or 1
    sys.exit(status)


def _run_command(command: str) -> int:
    """Return the exit status of the command line."""
    usage_code = USAGE_UNKNOWN if command in MONITORING else USAGE
    try:
        cli.main(standalone_mode=False, color=wants_colour(os.environ))
    except click.UsageError as error:
        error.show()
        return usage_code
    except click.exceptions.Abort:
        click.echo("aborted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return usage_code if command in MONITORING else 1
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        return usage_code
    except (AnchorwatchError, OSError) as error:
        click.echo(f"anchorwatch: {error}", err=True)
        return usage_code if command in MONITORING else 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if command not in MONITORING:
            raise
        click.echo(f"anchorwatch: a fault of its own: {type(error).__name__}: {error}", err=True)
        return usage_code
    return 0


if __name__ == "__main__":
    main()
