"""The README's tables that come from the code: ``python tests/doctables.py`` writes them, ``test_docs.py`` compares."""

from pathlib import Path

import msgspec

from collector.policy import Policy
from schemas.catalogue import ROWS, Kind

README = Path(__file__).parents[1] / "README.md"


def catalogue() -> str:
    """Return the findings: code, kind, severity, sentence and source."""
    lines = ["| code | kind | severity | what | source |", "|---|---|---|---|---|"]
    for row in ROWS:
        if row.kind is Kind.REASON:
            continue
        later = "" if row.detected else " *(later)*"
        lines.append(f"| `{row.code}`{later} | {row.kind} | {row.severity} | {row.sentence} | {row.source} |")
    reasons = ", ".join(f"`{row.code}` ({row.sentence})" for row in ROWS if row.kind is Kind.REASON)
    return "\n".join([*lines, "", f"Reasons that explain an insecure verdict and are no fault: {reasons}."])


def policy() -> str:
    """Return the policy's keys and defaults."""
    defaults = msgspec.to_builtins(Policy())
    lines = ["| key | default |", "|---|---|"]
    for key, value in defaults.items():
        shown = "none" if value == [] else str(value).lower() if isinstance(value, bool) else str(value)
        lines.append(f"| `{key}` | {shown} |")
    return "\n".join(lines)


def fill(text: str) -> str:
    """Return the README with every table as the code has it."""
    for name, made in (("catalogue", catalogue()), ("policy", policy())):
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        text = f"{before}{opening}{made}\n{closing}{after}"
    return text


if __name__ == "__main__":
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")
