"""``anchorwatch validate``: one name, or a batch of them, now or at a given time."""

import asyncio
import sys
from datetime import datetime
from typing import Any

import click

from anchorwatch.cli.arguments import (
    At,
    identity_options,
    read_anchors,
    read_authorities,
    read_points,
    read_policy,
    read_subject,
)
from anchorwatch.cli.terminal import to_ascii_json


@click.command()
@click.argument("name", required=False)
@click.argument("rdtype", metavar="[TYPE]", default="A")
@click.option(
    "--resolver",
    "resolvers",
    metavar="URL",
    multiple=True,
    help="udp://, tcp://, tls:// or https://; authoritative: walks to the servers.",
)
@identity_options
@click.option(
    "--hints", metavar="FILE", help="Root servers of a closed network (named.root), for authoritative: walks."
)
@click.option("--trust-anchor", metavar="FILE", help="DS or DNSKEY records; default: the root's, shipped.")
@click.option("--at", type=At(), help="Validate as of this time.")
@click.option("--policy", metavar="KEY=VALUE", multiple=True, help="Change a default of validation; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print the judgement as one JSON object.")
@click.option("--batch", type=click.File("r", encoding="utf-8"), help="Read NAME TYPE lines; one JSON object a line.")
@click.option("--timeout", default=1.5, show_default=True, help="Seconds to wait for the first try.")
@click.option("--attempts", default=3, show_default=True, help="Tries a question.")
def validate(
    name: str | None,
    rdtype: str,
    resolvers: tuple[str, ...],
    ca_file: str | None,
    server_name: str | None,
    pins: tuple[str, ...],
    hints: str | None,
    trust_anchor: str | None,
    at: datetime | None,
    policy: tuple[str, ...],
    as_json: bool,
    batch: Any,
    timeout: float,
    attempts: int,
) -> None:
    """Validate one NAME now, or at a given time, from the trust anchor down.

    Exit status: 0 secure, 1 insecure, 2 bogus, 3 indeterminate or a usage error; with --batch 0 once all are printed.
    """
    from anchorwatch.configuration.egress import environment_egress
    from anchorwatch.judging import Settings, judge_one

    if (name is None) == (batch is None):
        raise click.UsageError("give either a NAME or --batch FILE")
    settings = Settings(
        read_anchors(trust_anchor),
        read_policy(policy),
        at,
        timeout,
        attempts,
        environment_egress(),
        read_authorities(hints),
    )
    point = read_points(resolvers, ca_file, server_name, pins)[0]
    if batch is not None:
        _validate_batch(batch, point, settings)
        return
    assert name is not None
    subject = read_subject(name, rdtype)
    judgement = asyncio.run(judge_one(point, settings, *subject, claim=at is None))
    if as_json:
        import msgspec

        click.echo(to_ascii_json(msgspec.json.encode(judgement)))
    else:
        from anchorwatch.cli.chain_view import show

        click.echo(
            show(judgement, judgement.validated_at, claims_asked=at is None and not point.address.is_authoritative)
        )
    sys.exit({"secure": 0, "insecure": 1, "bogus": 2, "indeterminate": 3}[judgement.verdict])


def _validate_batch(batch: Any, point: Any, settings: Any) -> None:
    import msgspec

    from anchorwatch.judging import judge_all
    from collector.dnssec import names, records
    from collector.polling.memory import PollTarget

    subjects = []
    try:
        lines = batch.readlines()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{batch.name}: not UTF-8 at octet {error.start}") from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            name, rdtype = read_subject(words[0], words[1] if len(words) > 1 else "A")
        except click.UsageError as error:
            raise click.UsageError(f"{batch.name}:{number}: {error.message}") from error
        subjects.append(PollTarget(names.from_text(name), records.type_from_text(rdtype), point.name))
    for judgement in asyncio.run(judge_all([point], settings, subjects, claims=False)):
        click.echo(to_ascii_json(msgspec.json.encode(judgement)))
