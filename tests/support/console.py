"""A console to look at: a history and a ledger with something of everything in them, hostile where others choose."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from alerts.decision.incidents import Entry, begin_incident, take_finding
from alerts.ledger.sqlite import SqliteLedger
from analyzer.history import rows
from analyzer.history.clickhouse import ClickHouseHistory
from anchorwatch.pipeline.progress import Progress
from anchorwatch.telemetry import Meter
from anchorwatch.web.api import Parts, make_app
from anchorwatch.web.server import Server
from schemas.catalogue import Severity
from schemas.judgement import ChainLink, Judgement, Reason, ResolverClaim, Verdict
from schemas.messages import (
    Affected,
    Endpoint,
    Evidence,
    Finding,
    Identity,
    InventorySnapshot,
    Notification,
    NotificationStatus,
    Occasion,
)
from tests.support.findings import finding
from tests.support.making import judgement, key, link, observation, zones_of
from tests.support.sweeps import own, sweep

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\u202e{{7*7}}'
LONG = ".".join(["x" * 63, "y" * 63, "z" * 63, "w" * 61]) + "."
ODD = '\\"><script>\\000.bank.example.'
OWNER = f"payments {HOSTILE}"
IDENTITY = f"sa/{HOSTILE}"
INCIDENT, FINDING, HUGE = "1" * 32, "2" * 32, "3" * 32
EVIDENCE = "e" * 64


def wire() -> bytes:
    """A DNS message with a hostile TXT record."""
    import dns.message
    import dns.rrset

    message = dns.message.make_query("api.bank.example.", "TXT")
    message.answer.append(dns.rrset.from_text("api.bank.example.", 60, "IN", "TXT", '"<script>alert(3)</script>"'))
    return message.to_wire()


def judged(name: str, verdict: str = "secure", **more: Any) -> Judgement:
    return judgement(name, verdict=verdict, inception_at=NOW - 30 * HOUR, expires_at=NOW + 200 * HOUR, **more)


def hostile_chain() -> tuple[ChainLink, ...]:
    keys = (key(1, entry=True), key(2), key(3, entry=True, flags=0x0181))
    bank = link("bank.example.", keys=keys, ds=("1 13 2 AA", HOSTILE))
    return (link("."), link("example."), bank)


def store(history: ClickHouseHistory, made: Judgement, at: datetime, until: datetime = NOW) -> None:
    seen = observation(made, at, Occasion.CHANGE)
    evidence = Evidence(
        digest=EVIDENCE,
        name=made.name,
        type="A",
        at=at,
        messages=(wire(), b"\x00\xff", b""),
        trust_anchors=(HOSTILE,),
        policy={"profile": HOSTILE},
    )
    row, messages = rows.evidence_rows(evidence)
    verdict = [*rows.verdict_row(seen)]
    verdict[7] = until  # polled until then
    history.append(
        {
            "evidence": [row],
            "evidence_messages": messages,
            "zones": [rows.zone_row(zone) for zone in zones_of(made, at)],
            "observations": [rows.observation_row(seen)],
            "verdicts": [verdict],
        }
    )


def fill_history(history: ClickHouseHistory) -> None:
    """Names of each verdict, a rollover, a sweep, identities and findings."""
    ad = ResolverClaim(ad=True, rcode="NOERROR")
    bogus = judged(
        "api.bank.example.",
        "bogus",
        code="rrsig_expired",
        chain=(*hostile_chain()[:2], msgspec.structs.replace(hostile_chain()[2], verdict=Verdict.BOGUS)),
        claim=ResolverClaim(ad=False, rcode="SERVFAIL", ede=((7, HOSTILE),)),
        answers=(HOSTILE,),
    )
    bogus = msgspec.structs.replace(
        bogus, reasons=(Reason("rrsig_expired", "bank.example.", HOSTILE, 7, "bank.example. DNSKEY"),)
    )
    rolled = link("bank.example.", keys=(key(7, entry=True), key(2)), ds=("7 13 2 BB",))
    sound = judged("api.bank.example.", chain=(link("."), link("example."), rolled), claim=ad)
    store(history, sound, NOW - 300 * HOUR, NOW - 2 * HOUR)
    store(history, bogus, NOW - HOUR)
    store(history, judged("www.bank.example.", claim=ad), NOW - 40 * HOUR)
    store(history, judged(ODD, claim=ad, answers=(HOSTILE,)), NOW - 2 * HOUR)
    store(history, judged(LONG, "insecure", code="no_ds", zone="shop.example.", chain=(link("."),)), NOW - 5 * HOUR)
    dark = judged("mail.dark.example.", "indeterminate", code="timeout", zone="dark.example.", vantage="cloud\u202e")
    store(history, dark, NOW - 3 * HOUR)
    payments = Identity(
        id=IDENTITY,
        kind="service_account",
        owner=OWNER,
        environment=HOSTILE,
        criticality="critical",
        endpoints=tuple(
            Endpoint(host=name.rstrip("."), purpose=HOSTILE) for name in ("api.bank.example", "www.bank.example", ODD)
        ),
        labels={HOSTILE: HOSTILE},
    )
    shop = Identity(
        id="bot",
        owner="shop",
        criticality="low",
        endpoints=(
            Endpoint(host=LONG.rstrip(".")),
            Endpoint(host="mail.dark.example", origin="ServiceEntry prod/partner"),
            Endpoint(host="never.example"),
        ),
    )
    history.append(
        {
            "identities": [
                rows.identity_row(InventorySnapshot(id=one.id, seen_at=NOW - HOUR, identity=one))
                for one in (payments, shop)
            ],
            "sweeps": [rows.sweep_row(sweep(own(2), own(3), at=NOW - HOUR), NOW - HOUR, "")],
            "findings": [rows.finding_row(one, "t") for one in findings()],
        }
    )


def findings() -> list[Finding]:
    """A fault of the bank, in three versions, and a change with 60,000 identities behind it."""
    affected = Affected(
        id=IDENTITY, owner=OWNER, environment=HOSTILE, criticality="critical", hosts=(HOSTILE, "api.bank.example")
    )
    fault = finding(
        "rrsig_expired",
        zone="bank.example.",
        id=FINDING,
        severity=Severity.CRITICAL,
        detail=HOSTILE,
        cause_rrset="bank.example. DNSKEY",
        before=HOSTILE,
        after=HOSTILE,
        vantages=(HOSTILE,),
        servers=(HOSTILE,),
        evidence=EVIDENCE,
        endpoints=("api.bank.example. A",),
        identities=(affected,),
        identity_count=1,
        opened_at=NOW - HOUR,
    )
    many = tuple(
        msgspec.structs.replace(affected, id=f"sa-{number}", owner=f"team-{number % 9}") for number in range(1000)
    )
    change = finding(
        "answer_changed",
        zone="example.",
        id=HUGE,
        severity=Severity.MEDIUM,
        detail="data changed",
        identities=many,
        identity_count=60_000,
        opened_at=NOW - 2 * HOUR,
    )
    ours = finding(
        "self_inventory_shrunk",
        zone="",
        id="4" * 32,
        severity=Severity.HIGH,
        detail=f"a source lost rows {HOSTILE}",
        cause_rrset="inventory.yaml",
        identities=(),
        opened_at=NOW - HOUR,
    )
    versions = [msgspec.structs.replace(fault, version=number, updated_at=NOW - HOUR) for number in (1, 2, 3)]
    return [*versions, change, ours]


def fill_ledger(ledger: SqliteLedger) -> None:
    """One incident that somebody was told of, and one that nobody was."""
    fault, change = findings()[2], findings()[3]
    incidents = []
    for key_, one in ((INCIDENT, fault), ("5" * 32, change)):
        made = begin_incident(one)
        made = take_finding(made, Entry(finding=one, severity=one.severity, receivers=("soc",)))
        incidents.append(msgspec.structs.replace(made, id=key_))
    incidents[0] = msgspec.structs.replace(incidents[0], notified={HOSTILE: Severity.CRITICAL})
    incidents[1] = msgspec.structs.replace(incidents[1], withheld=HOSTILE)
    told = [
        Notification(
            id=f"n{number}",
            incident=INCIDENT,
            event="trigger",
            status=status,
            receiver=HOSTILE,
            reason=HOSTILE,
            at=NOW - HOUR,
            severity=Severity.CRITICAL,
            summary=HOSTILE,
        )
        for number, status in enumerate(NotificationStatus)
    ]
    ledger.commit(incidents=incidents, notifications=told)


def make_parts(history: ClickHouseHistory, ledger: SqliteLedger | None, **more: Any) -> Parts:
    return Parts(meter=Meter(), progress=Progress(lambda: 0.0), history=history, ledger=ledger, **more)


def make_ledger() -> SqliteLedger:
    ledger = SqliteLedger(Path(":memory:"))
    fill_ledger(ledger)
    return ledger


@contextmanager
def serving(parts: Parts) -> Iterator["Served"]:
    """Serve a console on loopback."""
    served = Served(parts)
    try:
        yield served
    finally:
        served.stop()


class Served:
    """The HTTP side in a thread of its own; ``stop`` may be called again."""

    def __init__(self, parts: Parts) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = Server(make_app(parts), "127.0.0.1", 0)
        self._do(self._server.start())
        self.url = self._server.url

    def _do(self, what: Any) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def stop(self) -> None:
        """Hang up and end."""
        if self._thread.is_alive():
            self._do(self._server.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
