"""``anchorwatch findings``, ``incidents``, ``history`` and ``evidence``: questions to a running instance over HTTP."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from anchorwatch.cli.arguments import read_subject

DEFAULT_API = "http://127.0.0.1:8053"


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


@click.command()
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


@click.command()
@_api_option
def incidents(api: str, token_file: Path | None, as_json: bool) -> None:
    """List incidents of a running instance: who was notified, or why nobody."""
    document = _fetch(api, token_file, "/api/v1/incidents")
    _print_rows(
        document,
        as_json,
        lambda i: (
            f"{'OPEN ' if i['open'] else 'ended'} {i['opened_at'][:19]} {i['summary']}"
            f"  [{('notified ' + ', '.join(i['notified'])) if i['notified'] else 'not notified: ' + i['withheld']}]"
        ),
        "no incidents",
    )


@click.command()
@click.argument("name")
@click.argument("rdtype", metavar="[TYPE]", default="")
@_api_option
def history(name: str, rdtype: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Show the verdict history of NAME as intervals, newest first."""
    if any(character in name for character in "/@:;=?#"):
        name, _ = read_subject(name, rdtype or "A")
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


@click.command()
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
        raise click.ClickException(f"the server at {api} is no anchorwatch (HTTP {answer.status})") from error
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
