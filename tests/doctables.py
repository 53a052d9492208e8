"""Tables and pages that come from the code: ``python -m tests.doctables`` writes them, ``test_docs.py`` compares."""

import inspect
from collections.abc import Mapping
from pathlib import Path

import msgspec

from alerts.runbooks.library import LIBRARY, as_markdown
from anchorwatch.replay import language
from collector.dnssec.policy import Policy
from schemas.catalogue import ROWS, CatalogueRow, Confirmation, Kind, Scope, Severity
from tests.catalogue import table

README = Path(__file__).parents[1] / "README.md"
FINDINGS = Path(__file__).parents[1] / "docs/findings.md"
SCENARIOS = Path(__file__).parents[1] / "docs/scenarios.md"
DETECTION = Path(__file__).parents[1] / "docs/detection.md"
RUNBOOKS = Path(__file__).parents[1] / "docs/runbooks"
KINDS = {
    Kind.STATE: "A state: it opens, and closes once it is gone.",
    Kind.DRIFT: "A drift: a change between two observations; it does not close by itself.",
    Kind.REASON: "A reason: it explains a verdict and is no finding.",
}
SCOPES = {
    Scope.ZONE: "It is about a zone.",
    Scope.NAME: "It is about one name.",
    Scope.VANTAGE: "It is about a vantage.",
    Scope.SERVER: "It is about a server of a zone.",
    Scope.SELF: "It is about ourselves.",
}
CONFIRMATIONS = {
    Confirmation.POLLS: "Several polls that agree confirm it.",
    Confirmation.CLAIM: "Several polls in which the resolver was heard confirm it, once its caches can't lag any more.",
    Confirmation.ONCE: "It is confirmed at once.",
    Confirmation.SWEEPS: "Two of three sweeps of the zone's servers that agree on a server confirm it.",
    Confirmation.ALARM: (
        "Two of three sweeps of the zone's servers that agree on a server confirm it, or one that was made because "
        "polls had just found the zone bogus or dark."
    ),
    Confirmation.REPORT: "It is confirmed at once, by the report of a stage.",
}


def catalogue() -> str:
    """Return the findings that page by default: code, what is the case, and the clause."""
    lines = ["| code | what | source |", "|---|---|---|"]
    for row in ROWS:
        if row.severity is Severity.CRITICAL and row.kind is not Kind.REASON:
            lines.append(f"| [`{row.code}`](docs/findings.md#{row.code}) | {row.sentence} | {row.source} |")
    return "\n".join(lines)


def findings() -> str:
    """Return the page of all codes, each below an anchor of its own name."""
    ours = "A heading is a code; codes are permanent. Written from `schemas/catalogue.py` by `tests/doctables.py`."
    index = ", ".join(f"[{row.code}](#{row.code})" for row in ROWS)
    return "\n\n".join(["# Findings", ours, index, *(_entry(row) for row in ROWS)]) + "\n"


def _entry(row: CatalogueRow) -> str:
    facts = [KINDS[row.kind]]
    if row.kind is not Kind.REASON:
        facts.append(f"Severity by default: **{row.severity}**.")
        facts += [SCOPES[row.scope], CONFIRMATIONS[row.confirmed_by]]
    if row.explains_below:
        facts.append("As a fault of a whole zone it may explain faults below it.")
    facts.append(f"Source: {row.source}.")
    if row.ede:
        numbers = ", ".join(str(code) for code in row.ede)
        facts.append(f"Extended DNS errors that say the same: {numbers} (RFC 8914).")
    if row.kind is not Kind.REASON:
        facts.append(f"What to do: [runbooks/{row.code}.md](runbooks/{row.code}.md).")
    return f"## {row.code}\n\n{row.sentence[0].upper()}{row.sentence[1:]}.\n\n{' '.join(facts)}"


def runbooks() -> dict[str, str]:
    """Return every runbook as a page, by the name of its file."""
    return {f"{code}.md": as_markdown(code, runbook) for code, runbook in LIBRARY.items()}


def policy() -> str:
    """Return the policy's keys and defaults."""
    defaults = msgspec.to_builtins(Policy())
    lines = ["| key | default |", "|---|---|"]
    for key, value in defaults.items():
        shown = "none" if value == [] else str(value).lower() if isinstance(value, bool) else str(value)
        lines.append(f"| `{key}` | {shown} |")
    return "\n".join(lines)


def words(structs: Mapping[str, type[msgspec.Struct]]) -> str:
    """Return a table of words of a scenario: what each means, and its fields with their defaults."""
    lines = ["| word | what | fields |", "|---|---|---|"]
    for name, struct in structs.items():
        text = " ".join(inspect.cleandoc(struct.__doc__ or "").split()).replace("``", "`")
        fields = ", ".join(_field(one) for one in msgspec.structs.fields(struct))
        lines.append(f"| `{name}` | {text} | {fields} |")
    return "\n".join(lines)


def _field(one: msgspec.structs.FieldInfo) -> str:
    if one.required:
        return f"**`{one.encode_name}`**"
    default = one.default if one.default is not msgspec.NODEFAULT else None
    shown = "" if default in (None, "", ()) or isinstance(default, msgspec.Struct) else f": {_shown(default)}"
    return f"`{one.encode_name}{shown}`"


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "the file": language.ScenarioFile,
    "zones.NAME": language.ZoneSection,
    "keys.NAME": language.KeySection,
    "ttl": language.TtlSection,
    "signing": language.SigningSection,
    "soa": language.SoaSection,
    "nsec3": language.Nsec3Section,
    "vantages.NAME": language.VantageSection,
    "receivers.NAME": language.ReceiverSection,
}


def fill_scenarios(text: str) -> str:
    """Return the page of the scenario language with every table as the code has it."""
    tables = {
        "sections": words(SECTIONS),
        "steps": words(language.WORDS),
        "expectations": words(language.EXPECTATIONS),
    }
    return _filled(text, tables)


def fill_detection(text: str) -> str:
    """Return the page of what is detected with the case of each code."""
    return _filled(text, {"rows": table.rows()})


def fill(text: str) -> str:
    """Return the README with every table as the code has it."""
    return _filled(text, {"catalogue": catalogue(), "policy": policy()})


def _filled(text: str, tables: Mapping[str, str]) -> str:
    for name, made in tables.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        text = f"{before}{opening}{made}\n{closing}{after}"
    return text


if __name__ == "__main__":
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")
    FINDINGS.write_text(findings(), encoding="utf-8")
    SCENARIOS.write_text(fill_scenarios(SCENARIOS.read_text(encoding="utf-8")), encoding="utf-8")
    DETECTION.write_text(fill_detection(DETECTION.read_text(encoding="utf-8")), encoding="utf-8")
    RUNBOOKS.mkdir(exist_ok=True)
    for name, page in runbooks().items():
        (RUNBOOKS / name).write_text(page, encoding="utf-8")
