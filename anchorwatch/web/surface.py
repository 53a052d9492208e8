"""The doors of the API, one after the other: paths, parameters, answers. Routes and OpenAPI come from here."""

from typing import TYPE_CHECKING, get_args

from alerts.decision.life import State
from analyzer.findings.changes import ChangeState
from anchorwatch.web import shapes
from anchorwatch.web.acts import ActBody
from anchorwatch.web.chains import ZoneView
from anchorwatch.web.guard import LOGIN, LOGOUT, METRICS, OIDC_CALLBACK, OIDC_START
from anchorwatch.web.lists import MAX_GAP_S
from anchorwatch.web.login import Login
from anchorwatch.web.operations import (
    HTML,
    PAGE,
    STREAM,
    TEXT,
    Operation,
    Parameter,
    choice,
    dns_name,
    instant,
    word,
)
from anchorwatch.web.silences import ORDER
from anchorwatch.web.views import EndpointView, IdentityView
from schemas.catalogue import Severity
from schemas.judgement import Verdict
from schemas.messages import (
    Act,
    ActKind,
    Criticality,
    Evidence,
    Finding,
    IdentityKind,
    Notification,
    NotificationEvent,
    NotificationStatus,
    ZoneSweep,
)

if TYPE_CHECKING:
    from anchorwatch.web.api import Api

V1 = "/api/v1"
NAME = dns_name("name", "Only this name.")
ZONE = dns_name("zone", "Only this zone.")
VANTAGE = word("vantage", "Only as this vantage sees it.")
VERDICT = choice("verdict", tuple(Verdict), "Only this verdict.")
SEVERITY = choice("severity", tuple(Severity), "Only this severity.")
SINCE = instant("since", "Only what changed since.")


def operations_of(api: "Api", login: Login) -> list[Operation]:
    """Return every door but the pages."""
    return [*_state(api), *_findings(api), *_people(api), *_process(api, login)]


def _state(api: "Api") -> list[Operation]:
    lists = api.lists
    return [
        Operation(
            path=f"{V1}/endpoints",
            handler=lists.endpoints,
            parameters=(
                NAME,
                VERDICT,
                VANTAGE,
                word("identity", "Only what this identity consumes."),
                word("owner", "Only what identities of this owner consume."),
                *PAGE,
            ),
            answers=list[EndpointView],
        ),
        Operation(
            path=f"{V1}/zones",
            handler=lists.zones,
            parameters=(ZONE, VANTAGE, VERDICT, *PAGE),
            answers=list[ZoneView],
        ),
        Operation(
            path=f"{V1}/sweeps", handler=lists.sweeps, parameters=(ZONE, VANTAGE, *PAGE), answers=list[ZoneSweep]
        ),
        Operation(
            path=f"{V1}/identities",
            handler=lists.identities,
            parameters=(
                choice("kind", get_args(IdentityKind), "Only this kind."),
                word("owner", "Only those of this owner."),
                word("environment", "Only those of this environment."),
                choice("criticality", get_args(Criticality), "Only those that are so critical."),
                choice("verdict", tuple(Verdict), "Only those whose weakest verdict is this one."),
                *PAGE,
            ),
            answers=list[IdentityView],
        ),
        Operation(path=f"{V1}/identities/{{id:path}}", handler=api.identity, answers=IdentityView),
        Operation(
            path=f"{V1}/history",
            handler=lists.history,
            parameters=(
                dns_name("name", "The name.", required=True),
                word("type", "Only this record type."),
                VANTAGE,
                instant("at", "Only what was the case then, with the chain."),
                *PAGE,
            ),
            answers=list[shapes.Interval],
        ),
        Operation(
            path=f"{V1}/history/gaps",
            handler=lists.gaps,
            parameters=(
                instant("since", "From when on.", required=True),
                Parameter(
                    name="longer_than",
                    text="Seconds; 900 if it is not said.",
                    schema={"type": "integer", "minimum": 1, "maximum": MAX_GAP_S},
                ),
                *PAGE,
            ),
            answers=list[shapes.Gap],
        ),
        Operation(path=f"{V1}/evidence/{{digest}}", handler=api.evidence, answers=Evidence, errors=(409,)),
        Operation(path=f"{V1}/events", handler=api.events, media_type=STREAM, errors=(503,)),
    ]


def _findings(api: "Api") -> list[Operation]:
    lists = api.lists
    return [
        Operation(
            path=f"{V1}/findings",
            handler=lists.findings,
            parameters=(
                choice("status", ("open", "closed"), "Only those that are so."),
                word("code", "Only this code of the catalogue."),
                SEVERITY,
                dns_name("zone", "Only this cause."),
                dns_name("name", "Only what is about this name, or affects it."),
                SINCE,
                *PAGE,
            ),
            answers=list[Finding],
        ),
        Operation(
            path=f"{V1}/findings/versions",
            handler=lists.versions,
            parameters=(
                instant("since", "What was said from then on."),
                instant("at", "What was the case then."),
                word("after", "The last one of before, as ID.VERSION."),
                *PAGE,
            ),
            answers=list[Finding],
        ),
        Operation(path=f"{V1}/findings/{{id}}", handler=api.finding, answers=list[Finding], errors=(409,)),
        Operation(
            path=f"{V1}/incidents",
            handler=lists.incidents,
            parameters=(
                choice("state", tuple(State), "Only those that are so."),
                SEVERITY,
                word("cause", "Only those on this cause."),
                SINCE,
                *PAGE,
            ),
            answers=list[shapes.IncidentBrief],
        ),
        Operation(path=f"{V1}/incidents/{{id}}", handler=api.incident, answers=shapes.IncidentWhole, errors=(409,)),
        Operation(
            path=f"{V1}/notifications",
            handler=lists.notifications,
            parameters=(
                word("receiver", "Only those to this receiver."),
                choice("status", tuple(NotificationStatus), "Only those that became so."),
                choice("event", get_args(NotificationEvent), "Only those that said this."),
                word("incident", "Only those of this incident, by its whole id."),
                *PAGE,
            ),
            answers=list[Notification],
        ),
    ]


def _people(api: "Api") -> list[Operation]:
    lists = api.lists
    return [
        Operation(
            path=f"{V1}/acts",
            handler=lists.acts,
            parameters=(
                choice("kind", get_args(ActKind), "Only this kind."),
                word("by", "Only what this person did."),
                word("subject", "Only what was done to this."),
                *PAGE,
            ),
            answers=list[Act],
        ),
        Operation(
            path=f"{V1}/acts",
            handler=api.act,
            method="POST",
            body=ActBody,
            answers=list[Act],
            status=202,
            errors=(409, 413, 415, 429),
        ),
        Operation(path=f"{V1}/acts/{{id}}", handler=api.one_act, answers=Act, errors=(409,)),
        Operation(
            path=f"{V1}/changes",
            handler=lists.changes,
            parameters=(
                choice("state", tuple(ChangeState), "Only those that are so."),
                dns_name("subject", "Only those of this zone or name."),
                *PAGE,
            ),
            answers=list[shapes.ChangeView],
        ),
        Operation(path=f"{V1}/changes/{{id}}", handler=api.change, answers=shapes.ChangeView, errors=(409,)),
        Operation(
            path=f"{V1}/silences",
            handler=lists.silences,
            parameters=(choice("state", ORDER, "Only those that are so."), *PAGE),
            answers=list[shapes.SilenceView],
        ),
        Operation(
            path=f"{V1}/silences/matching",
            handler=api.matching,
            parameters=(
                Parameter(
                    name="matcher",
                    text="A matcher, such as owner=payments; all of several have to fit.",
                    schema={"type": "string", "format": "matcher", "minLength": 1, "maxLength": 253},
                    required=True,
                    repeated=True,
                ),
            ),
            answers=shapes.Matching,
        ),
        Operation(path=f"{V1}/silences/{{id}}", handler=api.silence, answers=shapes.SilenceView, errors=(409,)),
        Operation(
            path=f"{V1}/hooks/pagerduty/{{receiver}}",
            handler=api.pagerduty,
            method="POST",
            body=shapes.Document,
            answers=list[Act],
            status=202,
            errors=(413, 429),
            signature="X-PagerDuty-Signature",
        ),
        Operation(
            path=f"{V1}/hooks/jsm/{{receiver}}",
            handler=api.jsm,
            method="POST",
            body=shapes.Document,
            answers=list[Act],
            status=202,
            errors=(413, 429),
            signature="Authorization",
        ),
    ]


def _process(api: "Api", login: Login) -> list[Operation]:
    return [
        Operation(path=f"{V1}/openapi.json", handler=api.openapi, answers=shapes.Document),
        Operation(path=METRICS, handler=api.metrics, media_type=TEXT, is_open=True, is_lenient=True),
        Operation(
            path="/-/healthy", handler=api.healthy, media_type=TEXT, is_open=True, is_lenient=True, errors=(503,)
        ),
        Operation(path="/-/ready", handler=api.ready, media_type=TEXT, is_open=True, is_lenient=True, errors=(503,)),
        Operation(path="/-/reload", handler=api.reload, method="POST", media_type=TEXT, errors=(429,)),
        Operation(
            path=LOGIN,
            handler=login.show,
            parameters=(word("next", "Where to go then."),),
            media_type=HTML,
            is_open=True,
            errors=(303,),
        ),
        Operation(
            path=LOGIN,
            handler=login.enter,
            method="POST",
            form=("token", "next"),
            media_type=HTML,
            status=303,
            is_open=True,
            errors=(401, 413, 429),
        ),
        Operation(
            path=OIDC_START,
            handler=login.start,
            parameters=(word("next", "Where to go then."),),
            media_type=HTML,
            status=303,
            is_open=True,
            errors=(401, 404, 429, 503),
        ),
        Operation(
            path=OIDC_CALLBACK,
            handler=login.come_back,
            parameters=(
                word("code", "What the provider gave the browser."),
                word("state", "What we gave it before."),
                word("iss", "The issuer (RFC 9207)."),
                word("error", "Why the provider refused."),
            ),
            media_type=HTML,
            is_open=True,
            is_lenient=True,
            errors=(401, 403, 404, 503),
        ),
        Operation(path=LOGOUT, handler=login.leave, method="POST", media_type=HTML, status=303, is_open=True),
    ]
