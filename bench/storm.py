"""``python -m bench.storm``: 100,000 findings of 50 causes in a minute, through the real alerts stage and its ledger.

The clock is virtual, so that group waits are what they are; what is measured is processor time, memory, and what pages
say. A receiver takes 2 deliveries a second of that clock, as PagerDuty's limits have it.
"""

import asyncio
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from alerts.config import AlertsConfig, Route
from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.ledger.sqlite import SqliteLedger
from alerts.stage import Alerts
from anchorwatch.replay.desk import InlineSender
from schemas.catalogue import CATALOGUE, Severity
from schemas.codes import Code
from schemas.messages import Affected, Finding, FindingStatus
from schemas.wire import digest_of

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
CAUSES, FINDINGS, SECONDS = 50, 100_000, 60
CODES = (Code.RRSIG_EXPIRED, Code.DNSKEY_MISSING, Code.DS_DNSKEY_MISMATCH, Code.ALIAS_CHAIN_BROKEN, Code.RRSIG_MISSING)
A_SECOND = 2


class Limited:
    """A receiver with a limit; ``pages`` are what it took, with the second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pages: list[tuple[float, Delivery]] = []
        self.left = 0

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        if self.left <= 0:
            return DeliveryOutcome(False, "HTTP 429", retry_after_s=1.0)
        self.left -= 1
        self.pages.append((self.now, delivery))
        return DeliveryOutcome(True, "taken")


def finding(number: int, version: int, second: float) -> Finding:
    """Return a finding: the first of each cause opens it, further ones are other names, or newer versions of them."""
    cause = number % CAUSES
    code = CODES[cause % len(CODES)]
    row, at = CATALOGUE[code], AT + timedelta(seconds=second)
    zone, name = f"z{cause}.t{cause // 10}.", f"n{number // CAUSES}.z{cause}.t{cause // 10}."
    key = digest_of(code, name)[:32]
    identity = Affected(
        id=f"sa-{cause}",
        owner=f"team-{cause % 7}",
        environment="prod",
        criticality="critical" if cause == 33 else "medium",
    )
    return Finding(
        id=key,
        key=key,
        version=version,
        status=FindingStatus.OPENED if version == 1 else FindingStatus.UPDATED,
        code=code,
        kind=row.kind,
        severity=row.severity,
        confirmed=True,
        cause_zone=zone,
        detail=f"of {name}",
        endpoints=(f"{name} A",),
        endpoint_count=1,
        identities=(identity,),
        identity_count=1,
        opened_at=AT,
        updated_at=at,
    )


def stream() -> list[list[Finding]]:
    """Return the findings of each second."""
    chooser = random.Random(7)
    versions: dict[int, int] = {}
    numbers = [n if n < CAUSES * 20 else chooser.randrange(CAUSES * 20) for n in range(FINDINGS)]
    seconds: list[list[Finding]] = [[] for _ in range(SECONDS)]
    for place, number in enumerate(numbers):
        versions[number] = versions.get(number, 0) + 1
        second = place * SECONDS // FINDINGS
        seconds[second].append(finding(number, versions[number], second))
    return seconds


def causes_in(delivery: Delivery) -> set[str]:
    """Return the causes that a page names."""
    incident = delivery.incident
    return {one.cause for one in incident.members} or {incident.cause}


def measure() -> dict[str, Any]:
    """Play the storm and return what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        config = AlertsConfig(
            rules=(),
            routes=(Route(receiver="pager"),),
            receivers=(),
            mappings=(),
            ledger=Path(folder) / "alerts.sqlite",
        )
        now = [AT.timestamp()]
        receiver, ledger = Limited(), SqliteLedger(config.ledger)
        notifiers = {"pager": receiver}
        stage = Alerts(
            config, ledger, notifiers, lambda: now[0], sender=InlineSender(notifiers, lambda: now[0]), last_resort=print
        )
        loop, slowest, memory = asyncio.new_event_loop(), 0.0, []
        began = time.process_time()
        seconds = stream()
        made_s = time.process_time() - began

        def handle(batch: list[Finding]) -> None:
            nonlocal slowest
            before = time.process_time()
            loop.run_until_complete(stage.handle(batch))
            slowest = max(slowest, (time.process_time() - before) * 500 / max(len(batch), 500))

        began, second = time.process_time(), 0
        while second < SECONDS or ledger.pending() or second < 400:
            now[0], receiver.now, receiver.left = AT.timestamp() + second, float(second), A_SECOND
            batch = seconds[second] if second < SECONDS else []
            for start in range(0, len(batch), 500):
                handle(batch[start : start + 500])
            for _ in range(3):
                handle([])
            if second % 20 == 0:
                memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
            second += 1
        took = time.process_time() - began
        loop.run_until_complete(stage.finish())
        loop.close()
        ledger.close()
    pages = [page for page in receiver.pages if page[1].event in ("trigger", "update")]
    named: dict[str, float] = {}
    for at, delivery in pages:
        for cause in causes_in(delivery):
            named.setdefault(cause, at)
    criticals = [at for at, one in pages if one.incident.severity is Severity.CRITICAL]
    worst = next(at for at, one in pages if "z33.t3." in causes_in(one))
    return {
        "pages": len(pages),
        "triggers": sum(one.event == "trigger" for _, one in pages),
        "causes_named": len([cause for cause in named if not cause.startswith("storm")]),
        "first_critical_s": min(criticals),
        "critical_identity_named_s": worst,
        "last_cause_named_s": max(named.values()),
        "drained_s": max(at for at, _ in receiver.pages),
        "findings_per_cpu_s": round(FINDINGS / took),
        "slowest_ms_per_500": round(slowest * 1000, 1),
        "memory_mb": memory,
        "made_s": round(made_s, 1),
        "largest_page_kb": max(len(msgspec.json.encode(one)) for _, one in receiver.pages) // 1024,
    }


if __name__ == "__main__":
    for name, value in measure().items():
        sys.stdout.write(f"{name:28} {value}\n")
