"""``anchorwatch silence``: pages are withheld for a while, of what matchers cover."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from anchorwatch.cli.acts import ACTS, Deed, end_of, user, who_option, why_option
from anchorwatch.cli.api import api_options, fetch, post, print_rows
from anchorwatch.cli.arguments import At

SHOWN = 10


@click.group()
def silence() -> None:
    """Withhold pages of what matchers cover, for a while; what is still the case at the end is paged then."""


@silence.command("add")
@click.argument("matchers", metavar="MATCHER...", nargs=-1, required=True)
@click.option("--from", "begins_at", type=At(), help="When it begins; by default now.")
@click.option("--to", "ends_at", type=At(), help="When it ends.")
@click.option("--for", "duration", default="", metavar="DURATION", help="How long it lasts, as 2h, instead of --to.")
@click.option("--yes", is_flag=True, help="It may match nearly everything.")
@who_option
@why_option
@api_options
def add(
    matchers: tuple[str, ...],
    begins_at: datetime | None,
    ends_at: datetime | None,
    duration: str,
    yes: bool,
    who: str,
    why: str,
    api: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Silence what every MATCHER covers: LABEL=VALUE, LABEL!=VALUE, LABEL=~REGEX or LABEL!~REGEX.

    LABEL is code, severity, zone, host, owner, environment, identity, criticality or vantage. A finding is covered only
    if all its hosts, owners and identities are.
    """
    begins_at = begins_at or datetime.now(UTC)
    if not as_json:
        _say_what_it_mutes(fetch(api, token_file, "/api/v1/silences/matching", matcher=list(matchers)))
    done = post(
        api,
        token_file,
        ACTS,
        kind="silence",
        matchers=matchers,
        begins_at=begins_at.isoformat(),
        ends_at=end_of(begins_at, ends_at, duration).isoformat(),
        by=who or user(),
        why=why,
        yes=yes,
    )
    print_rows(
        done,
        as_json,
        lambda act: (
            f"silenced until {act['ends_at'][:16]} UTC; to end it early: anchorwatch silence expire {act['id'][:8]}"
        ),
        "",
    )


def _say_what_it_mutes(found: dict[str, Any]) -> None:
    from alerts.delivery.wording import printable

    muted = [one for one in found["incidents"] if one["silenced"]]
    click.echo(f"{len(muted)} of {found['open']} open incidents will be silent")
    for one in found["incidents"][:SHOWN]:
        word = "silent" if one["silenced"] else "goes on"
        click.echo(printable(f"  {word:8} {one['id'][:8]} {one['summary']}"))
    if len(found["incidents"]) > SHOWN:
        click.echo(f"  and {len(found['incidents']) - SHOWN} more")


@silence.command("list")
@click.option("--all", "show_all", is_flag=True, help="Those that are over, too.")
@api_options
def list_silences(show_all: bool, api: str, token_file: Path | None, as_json: bool) -> None:
    """List silences and maintenance windows, with how many open incidents each withholds."""
    document = fetch(api, token_file, "/api/v1/silences")
    shown = [one for one in document if show_all or one["state"] != "expired"]
    print_rows(
        shown,
        as_json,
        lambda one: (
            f"{one['state']:8} {one['id'][:8] if not one['recurs'] else one['id']}  {' '.join(one['matchers'])}"
            f"  {one['begins_at'][:16]} to {one['ends_at'][:16]} UTC  by {one['by']}"
            f"{': ' + one['why'] if one['why'] else ''}  withholds {len(one['withholds'])}"
            f"{'  expired by ' + one['expired_by'] if one['expired_by'] else ''}"
        ),
        "nothing is silenced",
    )


@silence.command("expire")
@click.argument("silence_id", metavar="SILENCE")
@who_option
@why_option
@api_options
def expire(silence_id: str, who: str, why: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """End a silence before its time; what it withheld and is still the case is paged."""
    deed = Deed("expire_silence", silence_id, who, why)
    deed.do(api, token_file, as_json, lambda act: f"expired: silence {act['subject'][:8]}")
