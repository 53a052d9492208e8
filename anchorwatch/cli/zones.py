"""``anchorwatch zones``: what the watch knows of zones, as each vantage sees them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from anchorwatch.cli.api import api_options, fetch, print_rows, to_minute

SEP, REVOKE = 0x0001, 0x0080
MOST_LISTED = 10_000


@click.command()
@click.argument("zone", metavar="[ZONE]", default="")
@click.option("--vantage", default="", help="Only as this vantage sees them.")
@api_options
def zones(zone: str, vantage: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """List the zones that watched names lie behind, weakest first; of one ZONE all that is known."""
    document = fetch(api, token_file, "/api/v1/zones", zone=zone, vantage=vantage, limit=str(MOST_LISTED))
    none = f"nothing is watched behind {zone}" if zone else "no zone was observed yet"
    if zone and not as_json:
        document = [{"line": line} for one in document for line in _whole(one)]
        print_rows(document, as_json, lambda row: str(row["line"]), none)
        return
    print_rows(document, as_json, _line, none)


def _line(zone: dict[str, Any]) -> str:
    keys = ", ".join(f"{_role(key)} {key['tag']}" for key in _keys_of(zone)) or "no keys"
    why = "; ".join(reason["code"] for reason in (*zone["reasons"], *zone["remarks"]))
    return (
        f"{zone['verdict']:13} {zone['zone']:30} {zone['vantage']:12} {len(zone['ds'])} DS  {keys}"
        f"  {_end_of(zone['expires_at'])}{'  ' + why if why else ''}"
    )


def _whole(zone: dict[str, Any]) -> Iterator[str]:
    """Yield all that is known of a zone through one vantage."""
    since = f" since {to_minute(zone['since_at'])}" if zone["since_at"] else ""
    below = f", below {zone['parent']}" if zone["parent"] else ", with a trust anchor"
    yield f"{zone['zone']} is {zone['verdict'].upper()} through {zone['vantage']}{since}{below}"
    for reason in zone["reasons"]:
        yield f"  why: {reason['code']}: {reason['detail']}"
    for remark in zone["remarks"]:
        yield f"  remark: {remark['code']}: {remark['detail']}"
    for ds in zone["ds"]:
        yield f"  DS {ds}"
    for key in _keys_of(zone):
        signs = ", signs the key set" if key["tag"] in zone["signed_by"] else ""
        size = f", {key['bits']} bits" if key["bits"] else ""
        yield f"  {_role(key)} {key['tag']}, algorithm {key['algorithm']}{size}{signs}"
    for window in zone["windows"]:
        span = f"{to_minute(window['inception_at'])} to {to_minute(window['expires_at'])}"
        yield f"  signature over {window['rrset']} by {window['zone']}: {span}"
    if zone["evidence"]:
        yield f"  evidence {zone['evidence']}"


def _keys_of(zone: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the keys of a zone, secure-entry keys first, then by tag."""
    return sorted(zone["keys"], key=lambda key: (not key["flags"] & SEP, key["tag"]))


def _role(key: dict[str, Any]) -> str:
    role = "KSK" if key["flags"] & SEP else "ZSK"
    return f"revoked {role}" if key["flags"] & REVOKE else role


def _end_of(instant: str | None) -> str:
    return f"signatures end {to_minute(instant)}" if instant else "no signatures"
