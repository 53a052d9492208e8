"""``anchorwatch report`` and ``digest``: what was found and done over a time, from a running instance."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from anchorwatch.cli.api import api_options, fetch, token_option, url_option

if TYPE_CHECKING:
    from anchorwatch.assessment.assess import Report

MOST = "10000"
FRAMEWORKS = ("csf", "nhi", "800-207", "800-53")


@click.command()
@click.option("--framework", type=click.Choice(FRAMEWORKS), required=True, help="Whose controls.")
@click.option("--period", default="30d", show_default=True, metavar="DURATION", help="Until now.")
@click.option("--format", "form", type=click.Choice(["html", "json", "oscal"]), default="html", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="The file to write; by default standard output.")
@url_option
@token_option
def report(
    framework: str,
    period: str,
    form: Literal["html", "json", "oscal"],
    output: Path | None,
    api: str,
    token_file: Path | None,
) -> None:
    """Report coverage, incidents by control, and response times over a PERIOD.

    The HTML is one file and prints well on paper; oscal is NIST's assessment results model in JSON. Incidents and what
    was said of them are as far back as the ledger goes: the last 5,000 of each.
    """
    import msgspec

    from anchorwatch.assessment.oscal import make_results
    from anchorwatch.assessment.page import render

    made = make_report(framework, period, api, token_file)
    if form == "html":
        text = render(made, api)
    else:
        content = make_results(made, api) if form == "oscal" else made
        text = msgspec.json.format(msgspec.json.encode(content)).decode() + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"written to {output}")


@click.command()
@click.argument("owner", default="")
@click.option("--period", default="7d", show_default=True, metavar="DURATION", help="Until now.")
@api_options
def digest(owner: str, period: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Say what OWNER, or each owner, must know of its identities: for a mail once a week."""
    import json

    from alerts.delivery.wording import printable
    from anchorwatch.assessment.digests import digest_of_owner, owners_of

    made = make_report("csf", period, api, token_file)
    owners = owners_of(made)
    if owner and owner not in owners:
        raise click.ClickException(f"no identity has the owner {owner}; known are {', '.join(owners) or 'none'}")
    texts = {one: digest_of_owner(made, one) for one in ([owner] if owner else owners)}
    if as_json:
        click.echo(json.dumps(texts, indent=1))
        return
    for place, text in enumerate(texts.values()):
        for line in ([""] if place else []) + text.splitlines():
            click.echo(printable(line))


def make_report(framework: str, period: str, api: str, token_file: Path | None) -> "Report":
    """Return the report of what an instance knows.

    Raises:
        ClickException: the instance does not answer.
        UsageError: the period is none.
    """
    from anchorwatch.assessment.assess import assess
    from anchorwatch.configuration.rules import shipped_mappings
    from anchorwatch.configuration.values import parse_duration

    try:
        length = timedelta(seconds=parse_duration(period))
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"--period: {error}") from error
    until = datetime.now(UTC)
    controls = [
        {"framework": one.framework, "control": one.control, "why": one.why, "citation": one.citation}
        for mapping in shipped_mappings()
        for one in mapping.controls
    ]
    asked = {
        name: fetch(api, token_file, f"/api/v1/{name}", limit=MOST)
        for name in ("identities", "incidents", "notifications", "acts")
    }
    return assess(framework, until - length, until, controls=controls, **asked)
