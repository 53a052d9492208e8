"""The pages: rendered on the server, every value escaped, no script needed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse

from alerts.delivery.wording import printable
from alerts.runbooks.runbook import Runbook
from anchorwatch.web.console.ages import say_instant, say_left, say_span
from anchorwatch.web.console.picture import role_of
from anchorwatch.web.people import Person
from schemas.catalogue import sentence_of, source_of

STATIC = Path(__file__).parent / "static"


@cache
def environment() -> Environment:
    """Return the templates with their filters; an undefined value in one is an error."""
    made = Environment(
        loader=PackageLoader("anchorwatch.web", "pages"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        instant=say_instant,
        age=_age,
        left=_left,
        printable=lambda text: printable(str(text)),
        printable_lines=lambda text: "\n".join(map(printable, str(text).split("\n"))),
        data_of=lambda record, name: record.removeprefix(f"{name} "),
        part=lambda text: quote(str(text), safe=""),
        count=lambda number: f"{number:,}".replace(",", "\u202f"),
        role=role_of,
        words=lambda code: str(code).replace("_", " "),
        sentence=sentence_of,
    )
    return made


def _age(at: datetime | None, now: datetime) -> Markup:
    """Return how long ago it was, with the instant on hover; the page's script keeps it true."""
    if at is None:
        return Markup("–")
    utc = at.astimezone(UTC)
    text = say_span(now - utc) if utc <= now else f"in {say_span(utc - now)}"
    return Markup('<time datetime="{}" title="{} UTC" data-age>{}</time>').format(
        utc.isoformat(timespec="seconds"), say_instant(utc), text
    )


def _left(at: datetime | None, now: datetime) -> Markup:
    """Return how much time is left until then, with the instant on hover."""
    if at is None:
        return Markup("–")
    utc = at.astimezone(UTC)
    kind = "bogus" if utc < now else "insecure" if (utc - now).days < 3 else ""
    return Markup('<time datetime="{}" title="{} UTC" class="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), say_instant(utc), kind, say_left(utc, now)
    )


def render(template: str, http_status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page; ``place`` is which part of the navigation it belongs to."""
    values = {"now": datetime.now(UTC), "place": "", "asked": None, "is_live": False, "title": "", **values}
    return HTMLResponse(environment().get_template(template).render(**values), status_code=http_status)


def runbook(code: str, found: Runbook) -> HTMLResponse:
    """Show what to do about findings of a code."""
    return render("runbook.html", code=code, runbook=found, sentence=sentence_of(code), source=source_of(code))


def silences(views: Sequence[dict[str, Any]], person: Person) -> HTMLResponse:
    """Show the silences, with forms to whoever may act."""
    return render("silences.html", silences=views, person=person, place="silences")


def refused(sentence: str, path: str, status: int) -> HTMLResponse:
    """Say why a form was not taken, with the way back."""
    return render("refused.html", status, sentence=sentence, path=path)


def login(path: str, problem: str, *, has_token: bool = True, provider: str = "") -> HTMLResponse:
    """Ask people to sign in, to go on to ``path``; ``problem`` is why they were refused.

    ``has_token`` says that a token is taken, ``provider`` names the OpenID provider, empty for none.
    """
    return render("login.html", next=path, problem=problem, has_token=has_token, provider=provider)


def signed_in(path: str, name: str) -> HTMLResponse:
    """Say that somebody signed in, and go on to ``path``."""
    return render("signed_in.html", path=path, name=name)


def missing(sentence: str, status: int = 404) -> HTMLResponse:
    """Say that there is nothing here."""
    return render("missing.html", status, sentence=sentence)
