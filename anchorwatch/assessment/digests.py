"""What an owner must know of its identities: this week's incidents, and what they rest on. Pure."""

from collections.abc import Sequence

from anchorwatch.assessment.assess import Report, Touched


def owners_of(report: Report) -> list[str]:
    """Return the owners in a report, each once."""
    return sorted({one.owner for one in report.identities if one.owner})


def digest_of_owner(report: Report, owner: str) -> str:
    """Return a few lines for one owner: how many accounts rest on what, and which incidents touched them."""
    mine = [one for one in report.identities if one.owner == owner]
    weak = [one for one in mine if one.verdict != "secure"]
    counts = ", ".join(
        f"{sum(one.verdict == verdict for one in mine)} {verdict}"
        for verdict in report.verdicts
        if any(one.verdict == verdict for one in mine)
    )
    incidents = _of_owner(report, owner)
    lines = [
        f"{owner}: your {_counted(len(mine), 'account')}, {report.since[:10]} to {report.until[:10]}",
        f"They rest on names that are: {counts}.",
    ]
    lines += [f"  {one.id} ({one.criticality}) rests on what is {one.verdict}" for one in weak[:10]]
    lines += [f"  and {len(weak) - 10} more"] if len(weak) > 10 else []
    lines.append(f"{_counted(len(incidents), 'incident')} touched them" + (":" if incidents else "."))
    lines += [f"  {one.opened_at[:16].replace('T', ' ')} {one.state}: {one.summary}" for one in incidents[:10]]
    lines += [f"  and {len(incidents) - 10} more"] if len(incidents) > 10 else []
    return "\n".join(lines)


def _counted(number: int, one: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {one}s"


def _of_owner(report: Report, owner: str) -> Sequence[Touched]:
    found = {one.incident: one for row in report.controls for one in row.incidents if owner in one.owners}
    return sorted(found.values(), key=lambda one: one.opened_at, reverse=True)
