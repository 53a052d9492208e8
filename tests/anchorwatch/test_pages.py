from datetime import UTC, datetime

import pytest

from alerts.runbooks.library import LIBRARY
from anchorwatch.web import pages
from anchorwatch.web.chains import ZoneView
from anchorwatch.web.views import EndpointView, IdentityView
from schemas.catalogue import CATALOGUE, Severity
from schemas.codes import Code
from schemas.judgement import Reason, Verdict
from schemas.messages import Affected, Finding, FindingStatus, SignatureWindow

AT = datetime(2026, 11, 24, tzinfo=UTC)
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\u202e'


def hostile_finding() -> Finding:
    return Finding(
        id="f",
        key="k",
        version=1,
        status=FindingStatus.OPENED,
        code="rrsig_expired",
        kind=CATALOGUE[Code.RRSIG_EXPIRED].kind,
        severity=Severity.CRITICAL,
        confirmed=True,
        cause_zone=HOSTILE,
        cause_rrset=HOSTILE,
        detail=HOSTILE,
        before=HOSTILE,
        after=HOSTILE,
        vantages=(HOSTILE,),
        servers=(HOSTILE,),
        evidence="e",
        endpoints=(HOSTILE,),
        endpoint_count=1,
        identities=(Affected(id=HOSTILE, owner=HOSTILE, environment=HOSTILE, hosts=(HOSTILE,)),),
        opened_at=AT,
        updated_at=AT,
    )


def hostile_view() -> EndpointView:
    return EndpointView(
        name=HOSTILE,
        type="A",
        vantage=HOSTILE,
        verdict=Verdict.BOGUS,
        cause_zone=HOSTILE,
        conditions=(HOSTILE,),
        details=(HOSTILE,),
        last_polled_at=AT,
        expires_at=None,
        observation="o",
        evidence=HOSTILE,
        identities=(HOSTILE,),
        owners=(HOSTILE,),
    )


def hostile_zone() -> ZoneView:
    reason = Reason(HOSTILE, HOSTILE, HOSTILE)
    window = SignatureWindow(zone=HOSTILE, rrset=HOSTILE, inception_at=AT, expires_at=AT)
    return ZoneView(
        zone=HOSTILE,
        vantage=HOSTILE,
        verdict=Verdict.BOGUS,
        ds=(HOSTILE,),
        windows=(window,),
        reasons=(reason,),
        remarks=(reason,),
        evidence=HOSTILE,
    )


def rendered() -> dict[str, bytes]:
    identity = IdentityView(
        id=HOSTILE,
        kind="other",
        owner=HOSTILE,
        environment=HOSTILE,
        criticality="low",
        verdict=None,
        endpoints=(HOSTILE,),
    )
    incident = {
        "id": "i",
        "cause": HOSTILE,
        "severity": "critical",
        "summary": HOSTILE,
        "open": True,
        "opened_at": AT,
        "notified": {HOSTILE: "critical"},
        "withheld": HOSTILE,
        "findings": [{"id": HOSTILE, "code": HOSTILE}],
        "controls": [],
        "state": "acknowledged",
        "acknowledged": {"by": HOSTILE, "at": AT, "why": HOSTILE},
        "reopened_because": HOSTILE,
        "silenced": [HOSTILE],
        "ended_at": None,
        "identities": hostile_finding().identities,
        "identity_count": 1,
        "has_changes": True,
        "details": [
            {
                **dict.fromkeys(("id", "code", "severity", "status", "detail", "before", "after"), HOSTILE),
                **dict.fromkeys(("evidence", "silenced"), HOSTILE),
                "receivers": (HOSTILE,),
            }
        ],
        "timeline": [{"at": AT, "what": HOSTILE, "by": HOSTILE, "text": HOSTILE}],
        "earlier": [{"id": HOSTILE, "opened_at": AT, "ended_at": AT, "summary": HOSTILE}],
    }
    silence = {
        **dict.fromkeys(("id", "state", "by", "why", "expired_by"), HOSTILE),
        "matchers": [HOSTILE],
        "begins_at": AT,
        "ends_at": AT,
        "recurs": False,
        "withholds": [{"id": HOSTILE, "summary": HOSTILE}],
    }
    interval = {
        "verdict": "bogus",
        "type": "A",
        "vantage": HOSTILE,
        "first_seen_at": AT,
        "last_seen_at": AT,
        "reasons": [HOSTILE],
        "answers": [HOSTILE],
    }
    shown = {
        "overview": pages.overview(
            views=[hostile_view()],
            identities=[identity],
            findings=[hostile_finding()],
            incidents=[incident],
            notifications=[],
            silences=[silence],
            wanted=HOSTILE,
        ),
        "finding": pages.finding([hostile_finding()]),
        "incident": pages.incident(incident),
        "refused": pages.refused(HOSTILE, HOSTILE, 409),
        "silences": pages.silences([silence]),
        "runbook": pages.runbook(HOSTILE, LIBRARY[Code.RRSIG_EXPIRED]),
        "endpoint": pages.endpoint(
            HOSTILE,
            [hostile_view()],
            [interval],
            hostile_finding().identities,
            {(hostile_zone(),): [HOSTILE]},
        ),
        "missing": pages.missing(HOSTILE),
        "login": pages.login(HOSTILE, HOSTILE),
    }
    return {name: bytes(response.body) for name, response in shown.items()}


@pytest.mark.parametrize(
    "page", ["overview", "finding", "incident", "refused", "silences", "runbook", "endpoint", "missing", "login"]
)
def test_markup_in_dns_data_reaches_no_page_unescaped(page: str) -> None:
    body = rendered()[page].decode()

    assert "<script" not in body
    assert "<img" not in body
    assert "script" in body or page == "overview"
    assert 'onerror=alert(2)>"' not in body


def test_pages_need_no_script_and_nothing_from_elsewhere() -> None:
    for body in rendered().values():
        assert b"http://" not in body
        assert b"https://" not in body
        assert b"style=" not in body
