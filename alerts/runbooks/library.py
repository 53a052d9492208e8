"""Every runbook by its code, and a runbook as Markdown. Pure."""

from alerts.runbooks import chain, changes, ourselves, servers, signatures
from alerts.runbooks.runbook import Runbook
from schemas.catalogue import sentence_of, source_of
from schemas.codes import Code

LIBRARY: dict[Code, Runbook] = {
    **signatures.RUNBOOKS,
    **chain.RUNBOOKS,
    **servers.RUNBOOKS,
    **changes.RUNBOOKS,
    **ourselves.RUNBOOKS,
}
_BY_TEXT = {str(code): runbook for code, runbook in LIBRARY.items()}


def find_runbook(code: str) -> Runbook | None:
    """Return the runbook of a code, None where only another version has one."""
    return _BY_TEXT.get(code)


def fill(text: str, zone: str, host: str) -> str:
    """Return a text of a runbook with the zone and a host of an incident in it."""
    return text.replace("ZONE", zone or "the zone").replace("NAME", host or "the name")


def as_markdown(code: str, runbook: Runbook) -> str:
    """Return a runbook as a page."""
    sentence = sentence_of(code)
    parts = [
        f"# {code}",
        f"{sentence[0].upper()}{sentence[1:]}. Source: {source_of(code)}. ZONE is the cause zone, NAME a host affected.",
        "## What it means",
        runbook.means,
        "## Who must do what",
        "\n".join(f"- **{who[0].upper()}{who[1:]}**: {what}." for who, what in runbook.who),
        "## Look",
        "\n".join(f"    {line}" for line in runbook.look),
        "## Put it right",
        "\n".join(f"{number}. {step}" for number, step in enumerate(runbook.fix, 1)),
        "## How to see that it is over",
        runbook.over,
    ]
    return "\n\n".join(parts) + "\n"
