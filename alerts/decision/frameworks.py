"""Which controls a finding touches: data with a citation, a relation and a reason a row."""

from collections.abc import Iterable, Sequence

from alerts.config import ControlMapping
from schemas.messages import Control, Finding

RELATIONS = ("evidence", "direct", "amplifies", "context")


def match_controls(finding: Finding, mappings: Sequence[ControlMapping]) -> tuple[Control, ...]:
    """Return the controls that a finding touches, each once, in the order of the mapping."""
    purposes = [purpose.lower() for identity in finding.identities for purpose in identity.purposes]
    found: dict[tuple[str, str], Control] = {}
    for mapping in mappings:
        if finding.code not in mapping.codes:
            continue
        if mapping.purpose and not any(word in purpose for word in mapping.purpose for purpose in purposes):
            continue
        for control in mapping.controls:
            found.setdefault((control.framework, control.control), control)
    return tuple(found.values())


def check_mappings(mappings: Iterable[ControlMapping], codes: Iterable[str]) -> list[str]:
    """Return a sentence for each mapping that can't be right; empty when all are."""
    known = set(codes)
    problems = []
    for mapping in mappings:
        problems += [f"unknown code {code!r}" for code in mapping.codes if code not in known]
        for control in mapping.controls:
            if control.relation not in RELATIONS:
                problems.append(f"{control.control}: relation {control.relation!r} is none of {', '.join(RELATIONS)}")
            if not control.why or not control.citation:
                problems.append(f"{control.control}: a mapping needs a reason and a citation")
    return problems
