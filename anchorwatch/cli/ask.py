"""``anchorwatch findings``, ``incidents``, ``history`` and ``evidence``: questions to a running instance over HTTP."""

import json
from pathlib import Path

import click

from anchorwatch.cli.api import api_options, fetch, print_rows, token_option, url_option
from anchorwatch.cli.arguments import read_subject


@click.command()
@click.option("--status", type=click.Choice(["open", "closed", "all"]), default="open", show_default=True)
@click.option("--code", help="Only this code.")
@click.option("--zone", help="Only this cause zone.")
@api_options
def findings(status: str, code: str | None, zone: str | None, api: str, token_file: Path | None, as_json: bool) -> None:
    """List findings of a running instance."""
    document = fetch(
        api, token_file, "/api/v1/findings", status=None if status == "all" else status, code=code, zone=zone
    )
    print_rows(
        document,
        as_json,
        lambda f: (
            f"{f['id'][:8]} {f['severity']:8} {f['code']:26} {f['cause_zone'] or f['cause_rrset']}  {f['status']}"
            f"{'' if f['confirmed'] else ' (unconfirmed)'}  since {f['opened_at'][:19]}"
            f"  {len({e.split(' ')[0] for e in f['endpoints']})} hosts, {f['endpoint_count']} names and types,"
            f" {max(f['identity_count'], len(f['identities']))} identities"
            f"  {f['detail']}{'; ' + because if (because := f.get('closed_because', '')) else ''}"
        ),
        "no findings",
    )


@click.command()
@api_options
def incidents(api: str, token_file: Path | None, as_json: bool) -> None:
    """List incidents of a running instance: who was notified, or why nobody."""
    document = fetch(api, token_file, "/api/v1/incidents")
    print_rows(
        document,
        as_json,
        lambda i: (
            f"{i['id'][:8]} {'OPEN' if i['state'] == 'open' else i['state']:12} {i['opened_at'][:19]} {i['summary']}"
            f"  [{('notified ' + ', '.join(i['notified'])) if i['notified'] else 'not notified: ' + i['withheld']}]"
        ),
        "no incidents",
    )


@click.command()
@click.argument("name")
@click.argument("rdtype", metavar="[TYPE]", default="")
@api_options
def history(name: str, rdtype: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Show the verdict history of NAME as intervals, newest first."""
    if any(character in name for character in "/@:;=?#"):
        name, _ = read_subject(name, rdtype or "A")
    document = fetch(api, token_file, "/api/v1/history", name=name, type=rdtype.upper())
    print_rows(
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
@url_option
@token_option
@click.option("--json", "as_json", is_flag=True, help="Print the evidence itself.")
def evidence(digest: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Validate again, offline, from the evidence with this DIGEST, at the time of its capture.

    The beginning of the digest is enough.
    """
    import msgspec

    from anchorwatch.cli.chain_view import show
    from collector.dnssec.replay import replay
    from schemas.messages import Evidence

    document = fetch(api, token_file, f"/api/v1/evidence/{digest}")
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    stored = msgspec.convert(document, Evidence, strict=False)
    click.echo(show(replay(stored), stored.at, claims_asked=False))
