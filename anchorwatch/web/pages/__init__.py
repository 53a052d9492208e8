"""The pages: rendered on the server, every value escaped, no script needed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from alerts.delivery.wording import printable
from alerts.runbooks.runbook import Runbook
from anchorwatch.web.chains import ZoneView
from anchorwatch.web.views import EndpointView, IdentityView, host_count
from schemas.catalogue import sentence_of, source_of
from schemas.judgement import Verdict, ZoneKey
from schemas.messages import Affected, Finding, Notification

STATIC = Path(__file__).parent / "static"
MAX_ROWS = 300
ENTRY_POINT, REVOKED = 0x0001, 0x0080  # flags of a DNSKEY. Source: RFC 4034 §2.1.1, RFC 5011 §2.1

_environment = Environment(
    loader=PackageLoader("anchorwatch.web", "pages"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _instant(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else "–"


def _key(key: ZoneKey) -> str:
    role = " revoked" if key.flags & REVOKED else " entry" if key.flags & ENTRY_POINT else ""
    return f"{key.tag}/{key.algorithm}{role}"


_environment.filters["instant"] = _instant
_environment.filters["key"] = _key
_environment.filters["printable"] = printable
_environment.filters["hosts"] = host_count


def _render(template: str, **values: Any) -> HTMLResponse:
    return HTMLResponse(_environment.get_template(template).render(now=datetime.now(UTC), **values))


def overview(
    *,
    views: Sequence[EndpointView],
    identities: Sequence[IdentityView],
    findings: Sequence[Finding],
    incidents: Sequence[dict[str, Any]],
    notifications: Sequence[Notification],
    wanted: str,
    has_session: bool = False,
    warnings: Sequence[str] = (),
    silences: Sequence[dict[str, Any]] = (),
) -> HTMLResponse:
    """Show counts, open incidents and findings, endpoints and identities; ``wanted`` filters the last two.

    ``silences`` are those in force, ``warnings`` say why people would not be notified.
    """
    counts = Counter(view.verdict for view in views)
    watched_hosts = len({view.name for view in views})
    word = wanted.strip().lower()
    if word:
        views = [v for v in views if any(word in t.lower() for t in (v.name, *v.identities, *v.owners, v.verdict))]
        identities = [i for i in identities if any(word in t.lower() for t in (i.id, i.owner, *i.endpoints))]
    return _render(
        "overview.html",
        counts=[(verdict, counts[verdict]) for verdict in Verdict],
        total=sum(counts.values()),
        host_count=watched_hosts,
        views=views[:MAX_ROWS],
        view_count=len(views),
        identities=identities[:MAX_ROWS],
        identity_count=len(identities),
        findings=sorted(findings, key=lambda f: (-f.severity.rank, f.cause_zone)),
        incidents=[incident for incident in incidents if incident["open"]],
        notifications=notifications,
        wanted=wanted,
        warnings=warnings,
        silences=silences,
        max_rows=MAX_ROWS,
        has_session=has_session,
    )


def finding(versions: Sequence[Finding]) -> HTMLResponse:
    """Show one finding: its newest version, and the versions before."""
    newest = versions[-1]
    sentence, source = sentence_of(newest.code), source_of(newest.code)
    return _render("finding.html", finding=newest, versions=versions, sentence=sentence, source=source)


def incident(whole: dict[str, Any]) -> HTMLResponse:
    """Show one incident whole."""
    return _render("incident.html", incident=whole)


def silences(views: Sequence[dict[str, Any]]) -> HTMLResponse:
    """Show the silences."""
    return _render("silences.html", silences=views)


def runbook(code: str, found: Runbook) -> HTMLResponse:
    """Show what to do about findings of a code."""
    return _render("runbook.html", code=code, runbook=found, sentence=sentence_of(code), source=source_of(code))


def refused(sentence: str, path: str, status: int) -> HTMLResponse:
    """Say why a form was not taken, with the way back."""
    response = _render("refused.html", sentence=sentence, path=path)
    response.status_code = status
    return response


def endpoint(
    name: str,
    views: Sequence[EndpointView],
    intervals: Sequence[dict[str, Any]],
    affected: Sequence[Affected],
    chains: Mapping[tuple[ZoneView, ...], Sequence[str]],
) -> HTMLResponse:
    """Show one name: now, its chain, who consumes it, its history; ``chains`` say of which types and vantages."""
    return _render(
        "endpoint.html", name=name, views=views, intervals=intervals, affected=affected, chains=list(chains.items())
    )


def login(path: str, problem: str, *, has_token: bool = True, provider: str = "") -> HTMLResponse:
    """Ask people to sign in, to go on to ``path``; ``problem`` is why they were refused.

    ``has_token`` says that a token is taken, ``provider`` names the OpenID provider, empty for none.
    """
    return _render("login.html", next=path, problem=problem, has_token=has_token, provider=provider)


def signed_in(path: str, name: str) -> HTMLResponse:
    """Say that somebody signed in, and go on to ``path``."""
    return _render("signed_in.html", path=path, name=name)


def missing(sentence: str) -> HTMLResponse:
    """Say that there is nothing here."""
    response = _render("missing.html", sentence=sentence)
    response.status_code = 404
    return response
