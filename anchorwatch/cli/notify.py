"""``anchorwatch notify test``: a test page to a receiver of the configuration, and its end."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from alerts.delivery.delivery import Delivery
    from alerts.delivery.notifier import Notifier
    from alerts.receivers.receiver import Receiver
    from anchorwatch.configuration.loading import Config

WHY = "somebody tests this receiver: nothing has happened"


@click.group()
def notify() -> None:
    """See whether people can be reached."""


@notify.command("test")
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.argument("names", metavar="RECEIVER...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every receiver of the configuration.")
def notify_test(config_path: Path, names: tuple[str, ...], every: bool) -> None:
    """Send a test page to each RECEIVER of CONFIG, then its end, and say what came of both.

    It is low, says that it is a test, and is under an id of its own, so that it touches no incident. Exit status 1
    where one of them did not take it.
    """
    from anchorwatch.configuration.loading import load_config

    config = load_config(config_path)
    receivers = {one.name: one for one in config.alerts.receivers}
    if every == bool(names):
        raise click.UsageError("say either RECEIVER or --all")
    if unknown := [name for name in names if name not in receivers]:
        known = ", ".join(receivers) or "none"
        raise click.UsageError(f"{config_path} has no receiver {', '.join(unknown)}; it has {known}")
    failed = False
    for name in receivers if every else names:
        notifier = _notifier_of(receivers[name], config)
        page, end = make_test(receivers[name], datetime.now(UTC), config.alerts.public_url)
        for delivery in (page, end):
            outcome = notifier.send(delivery, time.time())
            word = "arrived" if outcome.delivered else "did not arrive"
            click.echo(f"{name}: {delivery.event} {word}: {outcome.detail}")
            failed = failed or not outcome.delivered
            if not outcome.delivered:
                break
    if failed:
        raise SystemExit(1)


def _notifier_of(receiver: "Receiver", config: "Config") -> "Notifier":
    from alerts.receivers.exchange import Line
    from anchorwatch.pipeline.run import make_notifiers

    topics = None
    if receiver.needs_bus and config.bus is not None:
        from anchorwatch.kafka.topic_writer import KafkaTopicWriter

        topics = KafkaTopicWriter(config.bus, f"{config.bus.prefix}-test")
    return make_notifiers([receiver], Line(config.egress), topics)[receiver.name]


def make_test(receiver: "Receiver", at: datetime, public_url: str) -> "tuple[Delivery, Delivery]":
    """Return a test page and its end; for a receiver of findings the events of one that opens and closes."""
    import msgspec

    from alerts.decision.incidents import Entry, begin_incident, take_finding
    from alerts.delivery.delivery import Delivery
    from schemas.catalogue import CATALOGUE, Severity
    from schemas.codes import Code
    from schemas.messages import Finding, FindingStatus
    from schemas.wire import digest_of

    row = CATALOGUE[Code.CHANGE_DECLARED]
    key = digest_of("test", receiver.name, at.isoformat())[:32]
    opened = Finding(
        id=key,
        key=key,
        version=1,
        status=FindingStatus.OPENED,
        code=row.code,
        kind=row.kind,
        severity=Severity.LOW,
        confirmed=True,
        cause_zone="test.invalid.",
        detail=f"TEST: {WHY}",
        opened_at=at,
        updated_at=at,
    )
    accepted = {"status": FindingStatus.CLOSED, "accepted_by": "anchorwatch", "closed_because": "TEST: it is over"}
    found = []
    for event, finding in (("trigger", opened), ("resolve", msgspec.structs.replace(opened, **accepted))):
        entry = Entry(finding=finding, severity=Severity.LOW, receivers=(receiver.name,))
        incident = take_finding(begin_incident(opened), entry)
        found.append(
            Delivery(
                id=digest_of(key, event)[:32],
                receiver=receiver.name,
                event=event,  # type: ignore[arg-type]
                reason=f"TEST: {WHY}",
                incident=incident,
                decided_at=at,
                base=public_url,
                finding=key if receiver.takes_findings else "",
            )
        )
    return found[0], found[1]
