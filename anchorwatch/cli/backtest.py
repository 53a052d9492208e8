"""``anchorwatch backtest``: the rules over the stored history, and what they would have paged beside what was paged."""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anchorwatch.cli.api import fetch, to_minute, token_option, url_option
from anchorwatch.cli.arguments import DEFAULT_CONFIG

if TYPE_CHECKING:
    from alerts.decision.comparison import Comparison, Told
    from schemas.messages import Finding, Notification

PAGE = 500
MOST_NOTIFICATIONS = 10_000
SHORTEST_GAP_S, GAP_INTERVALS = 900, 3


@click.command()
@click.argument("config_path", metavar="[CONFIG]", default=DEFAULT_CONFIG, type=click.Path(path_type=Path))
@click.option("--since", default="30d", show_default=True, metavar="DURATION|RFC3339", help="From when on.")
@click.option(
    "--rules", multiple=True, metavar="FILE", type=click.Path(path_type=Path), help="Rules to try instead of CONFIG's."
)
@url_option
@click.option("--alerts-api", default="", metavar="URL", help="The alerts stage, where it is another process.")
@token_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def backtest(
    config_path: Path,
    since: str,
    rules: tuple[Path, ...],
    api: str,
    alerts_api: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Say what rules would have paged of the findings that a running instance has stored, beside what was paged.

    Receivers, routes and rules are those of CONFIG (anchorwatch.yaml unless it is given); nothing is sent, and nothing
    is changed.
    """
    from alerts.decision.comparison import compare
    from alerts.decision.rehearsal import rehearse
    from anchorwatch.configuration.loading import load_config
    from schemas.messages import utc

    config = load_config(config_path, rules=rules)
    until = utc(time.time())
    begins_at = _begin_of(since, until)
    carried = _findings(fetch(api, token_file, "/api/v1/findings/versions", at=begins_at.isoformat()))
    versions = _versions(api, token_file, begins_at)
    rehearsal = rehearse(config.alerts, carried, versions, begins_at, until)
    told, is_cut = _notifications(alerts_api or api, token_file, begins_at)
    longer_than = max(SHORTEST_GAP_S, int(GAP_INTERVALS * config.collector.interval_s))
    gaps = fetch(api, token_file, "/api/v1/history/gaps", since=begins_at.isoformat(), longer_than=str(longer_than))
    notes = [f"no data from {to_minute(gap['from'])} to {to_minute(gap['to'])}" for gap in gaps]
    if is_cut:
        first = min((one.at for one in told), default=until)
        notes.append(f"what was paged is known from {to_minute(first.isoformat())} on only")
    _show(begins_at, until, notes, compare(rehearsal, told), as_json=as_json)


def _begin_of(since: str, now: datetime) -> datetime:
    from anchorwatch.cli.arguments import At
    from anchorwatch.configuration.values import parse_duration

    try:
        begins_at = now - timedelta(seconds=parse_duration(since))
    except (ValueError, OverflowError):
        begins_at = At().convert(since, None, None)
    if begins_at >= now:
        raise click.UsageError("--since: it lies ahead")
    return begins_at


def _findings(document: Any) -> "list[Finding]":
    import msgspec

    from schemas.messages import Finding

    return msgspec.convert(document, list[Finding], strict=False)


def _versions(api: str, token_file: Path | None, since: datetime) -> "Iterator[Finding]":
    """Yield what was reported of findings, oldest first, in pages."""
    after = ""
    while True:
        page = _findings(
            fetch(
                api,
                token_file,
                "/api/v1/findings/versions",
                since=since.isoformat(),
                after=after,
                limit=str(PAGE),
            )
        )
        yield from page
        if len(page) < PAGE:
            return
        after = f"{page[-1].id}.{page[-1].version}"


def _notifications(api: str, token_file: Path | None, since: datetime) -> "tuple[list[Notification], bool]":
    """Return what was notified since an instant, and whether there may be more than was asked for."""
    import msgspec

    from schemas.messages import Notification

    document = fetch(api, token_file, "/api/v1/notifications", limit=str(MOST_NOTIFICATIONS))
    found = [one for one in msgspec.convert(document, list[Notification], strict=False) if one.at >= since]
    return found, len(found) == MOST_NOTIFICATIONS


def _show(
    since: datetime, until: datetime, notes: Sequence[str], found: "Sequence[Comparison]", *, as_json: bool
) -> None:
    from alerts.delivery.wording import printable

    would, did = sum(one.would is not None for one in found), sum(one.did is not None for one in found)
    if as_json:
        document = {
            "since": since.isoformat(),
            "until": until.isoformat(),
            "notes": notes,
            "would_page": would,
            "did_page": did,
            "comparisons": [_as_json(one) for one in found],
        }
        click.echo(json.dumps(document, indent=1))
        return
    span = f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{span}: receivers would be told of {would} incidents, and were told of {did}")
    for note in notes:
        click.echo(note)
    for one in found:
        told = one.would or one.did
        assert told is not None
        click.echo(
            printable(
                f"{one.outcome.upper():22}  {told.receiver:12} {told.at:%Y-%m-%d %H:%M}  {told.severity:8}"
                f" {told.summary}{'  (' + one.why + ')' if one.why else ''}"
            )
        )


def _as_json(one: "Comparison") -> dict[str, Any]:
    def told(side: "Told | None") -> dict[str, Any] | None:
        if side is None:
            return None
        return {
            "receiver": side.receiver,
            "incident": side.incident,
            "cause": side.cause,
            "at": side.at.isoformat(),
            "severity": side.severity,
            "reason": side.reason,
            "summary": side.summary,
            "pages": side.pages,
            "findings": sorted(side.findings),
        }

    return {"outcome": one.outcome, "why": one.why, "would": told(one.would), "did": told(one.did)}
