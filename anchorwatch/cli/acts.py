"""``anchorwatch change``, ``accept``, ``ack``, ``reopen``, ``note`` and ``acts``: what people do, and who did what."""

import getpass
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anchorwatch.cli.api import api_options, fetch, post, print_rows
from anchorwatch.cli.arguments import At
from schemas.catalogue import Change

if TYPE_CHECKING:
    from schemas.messages import ActKind

ACTS = "/api/v1/acts"
who_option = click.option("--who", default="", help="Who does it; by default the user of this command.")
why_option = click.option("--why", default="", help="The reason; it is kept and shown.")


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody does to one ``subject``; by the user of this command where ``who`` is empty."""

    kind: "ActKind"
    subject: str
    who: str
    why: str

    def do(self, api: str, token_file: Path | None, as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
        """Do it, and print what was done, one line an act.

        Raises:
            ClickException: the instance does not answer, or refuses.
        """
        by = self.who or user()
        done = post(api, token_file, ACTS, kind=self.kind, subject=self.subject, by=by, why=self.why)
        print_rows(done, as_json, line, "")


@click.group()
def change() -> None:
    """Declare that a zone or a name will change, so that nobody is paged for it."""


@change.command("add")
@click.argument("subject", metavar="ZONE|NAME")
@click.option(
    "--what",
    type=click.Choice([kind.value for kind in Change]),
    multiple=True,
    required=True,
    help="What changes; repeat it.",
)
@click.option("--from", "begins_at", type=At(), help="When the window begins; by default now.")
@click.option("--to", "ends_at", type=At(), help="When it ends.")
@click.option("--for", "duration", default="", metavar="DURATION", help="How long it lasts, as 2h, instead of --to.")
@click.option("--answer", "answers", multiple=True, help="With --what answers: the new data, as 192.0.2.7; repeat it.")
@who_option
@why_option
@api_options
def add(
    subject: str,
    what: tuple[str, ...],
    begins_at: datetime | None,
    ends_at: datetime | None,
    duration: str,
    answers: tuple[str, ...],
    who: str,
    why: str,
    api: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Declare a change of ZONE (keys, ds, ns, unsign), or of the answers of NAME.

    Within the window what it explains is reported as low, with who declared it; nothing else is lowered.
    """
    begins_at = begins_at or datetime.now(UTC)
    done = post(
        api,
        token_file,
        ACTS,
        kind="declare_change",
        subject=subject,
        what=what,
        answers=answers,
        begins_at=begins_at.isoformat(),
        ends_at=end_of(begins_at, ends_at, duration).isoformat(),
        by=who or user(),
        why=why,
    )
    print_rows(done, as_json, lambda act: f"declared: {_describe(act)}", "")
    if not as_json:
        click.echo(f"to end it early: anchorwatch change end {done[0]['id']}")


def end_of(begins_at: datetime, ends_at: datetime | None, duration: str) -> datetime:
    """Return when a window ends.

    Raises:
        UsageError: not just one of end and duration is given.
    """
    from anchorwatch.configuration.values import parse_duration

    if (ends_at is None) == (not duration):
        raise click.UsageError("say either --to or --for")
    if ends_at is not None:
        return ends_at
    try:
        return begins_at + timedelta(seconds=parse_duration(duration))
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"--for: {error}") from error


@change.command("list")
@click.option("--all", "show_all", is_flag=True, help="Those that are over, too.")
@api_options
def list_changes(show_all: bool, api: str, token_file: Path | None, as_json: bool) -> None:
    """List the declared changes."""
    document = fetch(api, token_file, "/api/v1/changes")
    shown = [one for one in document if show_all or one["state"] in ("ahead", "open")]
    print_rows(
        shown,
        as_json,
        lambda one: (
            f"{one['state']:5} {one['id']}  {_describe(one)}"
            f"{'  ended by ' + one['ended_by'] if one['ended_by'] else ''}"
        ),
        "no change is declared",
    )


@change.command("end")
@click.argument("change_id", metavar="ID")
@who_option
@why_option
@api_options
def end(change_id: str, who: str, why: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """End a declared change before its time."""
    deed = Deed("end_change", change_id, who, why)
    deed.do(api, token_file, as_json, lambda act: f"ended: {act['subject']}")


@click.command()
@click.argument("subject", metavar="FINDING|INCIDENT|NAME")
@who_option
@why_option
@api_options
def accept(subject: str, who: str, why: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Accept a change that was reported: it was planned, and what is the case now is what counts.

    FINDING is the id of one, INCIDENT stands for all changes in it; the beginning of an id is enough. NAME stands for
    all changes of the last 30 days at this name or of this zone.
    """

    def line(act: dict[str, Any]) -> str:
        state = f", {act['rrset']} is {', '.join(act['answers'])}" if act.get("rrset") else ""
        return f"accepted: finding {act['subject']}{state}"

    Deed("accept", subject, who, why).do(api, token_file, as_json, line)


@click.command()
@click.argument("incident", metavar="INCIDENT")
@who_option
@why_option
@api_options
def ack(incident: str, who: str, why: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Take INCIDENT: no reminder and no escalation follows, unless it becomes worse.

    The beginning of its id is enough. Its end, and what is new in it, is told all the same.
    """
    deed = Deed("acknowledge", incident, who, why)
    deed.do(api, token_file, as_json, lambda act: f"acknowledged: incident {act['subject'][:8]} by {act['by']}")


@click.command()
@click.argument("incident", metavar="INCIDENT")
@who_option
@why_option
@api_options
def reopen(incident: str, who: str, why: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Give INCIDENT back: nobody has it any more, and reminders go on."""
    deed = Deed("reopen", incident, who, why)
    deed.do(api, token_file, as_json, lambda act: f"reopened: incident {act['subject'][:8]}")


@click.command()
@click.argument("incident", metavar="INCIDENT")
@click.argument("text")
@who_option
@api_options
def note(incident: str, text: str, who: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Add TEXT to the timeline of INCIDENT."""
    deed = Deed("note", incident, who, text)
    deed.do(api, token_file, as_json, lambda act: f"noted: incident {act['subject'][:8]}")


@click.command()
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="At most so many.")
@api_options
def acts(limit: int, api: str, token_file: Path | None, as_json: bool) -> None:
    """List what people did, newest first."""
    document = fetch(api, token_file, ACTS, limit=str(limit))
    print_rows(
        document,
        as_json,
        lambda act: (
            f"{act['at'][:19]}  {act['kind']:16} {_describe(act)}"
            f"{'  [' + act['source'] + ']' if act.get('source') else ''}"
        ),
        "nobody did anything",
    )


def _describe(act: dict[str, Any]) -> str:
    """Return what was done, by whom, and why."""
    parts = [act.get("subject") or " ".join(act.get("matchers", []))]
    if act.get("what"):
        parts.append(f"changes {', '.join(act['what'])}")
    if act.get("answers"):
        parts.append(f"to {', '.join(act['answers'])}")
    if act.get("ends_at"):
        parts.append(f"from {act['begins_at'][:16]} to {act['ends_at'][:16]} UTC")
    parts.append(f"by {act['by']}")
    return " ".join(parts) + (f": {act['why']}" if act["why"] else "")


def user() -> str:
    """Return who uses this command."""
    return os.environ.get("SUDO_USER") or getpass.getuser()
