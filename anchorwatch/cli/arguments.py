"""Words of the command line that several commands take: a time, anchors, resolvers, policy, a name and its type."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collector.config import Authorities, VantagePoint
    from collector.dnssec.anchors import TrustAnchors
    from collector.dnssec.policy import Policy

DEFAULT_CONFIG = "anchorwatch.yaml"
MAX_AT = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)


class At(click.ParamType[datetime]):
    """An RFC 3339 time within what a signature's 32 bits can mean."""

    name = "RFC3339"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware instant."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            self.fail(f"{value!r} is no RFC 3339 time such as 2026-11-24T12:00:00Z", param, ctx)
        if at.tzinfo is None:
            self.fail(f"{value!r} has no time zone: add Z or an offset", param, ctx)
        if not datetime(1970, 1, 1, tzinfo=UTC) <= at <= MAX_AT:
            self.fail(f"{value!r} lies outside 1970 to 2106, the span that signature times can mean", param, ctx)
        return at.astimezone(UTC)


def read_anchors(path: str | None) -> "TrustAnchors":
    """Return the trust anchors in a file, the shipped ones without one.

    Raises:
        UsageError: the file can't be used.
    """
    from collector.anchor_file import read_anchor_file
    from collector.dnssec.anchors import IANA, TrustAnchors, parse_anchors

    if path is None:
        return parse_anchors(IANA, "shipped")
    if Path(path).is_file() and not Path(path).read_text(encoding="utf-8", errors="replace").strip():
        click.echo(f"{path} is empty: nothing is trusted, so every name is insecure", err=True)
        return TrustAnchors({})
    try:
        return read_anchor_file(Path(path))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def identity_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say how the resolvers of ``--resolver`` prove over TLS who they are."""
    for option in (
        click.option("--pin", "pins", metavar="BASE64", multiple=True, help="SHA-256 of its public key; repeatable."),
        click.option("--server-name", metavar="NAME", help="The name in its certificate; default: the URL's host."),
        click.option("--ca-file", metavar="FILE", help="Authorities of tls:// and https://; default: the system's."),
    ):
        command = option(command)
    return command


def read_points(
    resolvers: tuple[str, ...],
    ca_file: str | None = None,
    server_name: str | None = None,
    pins: tuple[str, ...] = (),
) -> "list[VantagePoint]":
    """Return the resolvers of these URLs as vantages, the system's without any.

    Raises:
        UsageError: a URL can't be used, there is no resolver, or it can't prove in this way who it is.
    """
    from dataclasses import replace

    from anchorwatch.configuration.vantages import RESOLV_CONF, default_vantages, read_identity
    from collector.config import VantagePoint
    from collector.resolvers.address import parse_address

    if not resolvers:
        if ca_file is not None or server_name is not None or pins:
            raise click.UsageError("--ca-file, --server-name and --pin need a --resolver of tls:// or https://")
        points = default_vantages()
        if not points:
            raise click.UsageError(f"{RESOLV_CONF} names no resolver: say --resolver udp://ADDRESS")
        return points
    try:
        addresses = [parse_address(url) for url in resolvers]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    problems: list[str] = []

    def report(key: str, sentence: str) -> None:
        option = {"ca_file": "--ca-file", "server_name": "--server-name"}.get(key, "--pin")
        problems.append(f"{option}: {sentence}")

    addresses = [
        replace(address, identity=read_identity(address.scheme, ca_file, server_name, pins or None, Path(), report))
        for address in addresses
    ]
    if problems:
        raise click.UsageError("; ".join(dict.fromkeys(problems)))
    return [VantagePoint(name=address.to_url(), address=address) for address in addresses]


def read_authorities(hints: str | None) -> "Authorities":
    """Return how authoritative servers are asked: from the public root servers on, or from those in a file.

    Where the root is another one, servers may have private addresses.

    Raises:
        UsageError: the file can't be used.
    """
    from anchorwatch.configuration.authoritative import read_hints_file
    from collector.config import Authorities

    if hints is None:
        return Authorities()
    try:
        return Authorities(hints=read_hints_file(Path(hints)), allow_private=True)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def read_policy(pairs: tuple[str, ...]) -> "Policy":
    """Return the policy with these KEY=VALUE pairs.

    Raises:
        UsageError: a pair can't be used.
    """
    from collector.dnssec.policy import policy_from_pairs

    try:
        return policy_from_pairs(list(pairs))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def read_subject(name: str, rdtype: str) -> tuple[str, str]:
    """Return name and type, checked, a host name of another script as ASCII.

    Raises:
        UsageError: the name or the type can't be used.
    """
    from collector.dnssec import names, records
    from collector.inventory.hosts import parse_host
    from schemas.redaction import safe, without_quoted

    if not name.isascii() or any(character in name for character in "/@:;=?#"):
        try:
            name = parse_host(name)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    try:
        names.from_text(name)
        records.type_from_text(rdtype)
    except ValueError as error:
        raise click.UsageError(f"{safe(name)} {safe(rdtype)}: {without_quoted(str(error))}") from error
    return name, rdtype.upper()
