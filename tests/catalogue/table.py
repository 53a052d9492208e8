"""All cases: one a row of the catalogue."""

from types import ModuleType

from schemas.catalogue import ROWS, Kind
from tests.catalogue import answers, changes, keys, ourselves, servers, signatures, vantages
from tests.catalogue.case import Case, Elsewhere

MODULES = (signatures, keys, answers, servers, vantages, changes, ourselves)
CASES: tuple[Case, ...] = tuple(case for module in MODULES for case in module.CASES)
ELSEWHERE: tuple[Elsewhere, ...] = ourselves.ELSEWHERE


def rows() -> str:
    """Return the table of ``docs/detection.md``: of each code what opens it, what does not, and what shows that."""
    found = {one.code: (one.happens, one.harmless, _file_of(module)) for module in MODULES for one in module.CASES}
    found |= {one.code: (one.happens, one.harmless, _nodes_of(one)) for one in ELSEWHERE}
    lines = ["| code | found | not found | shown by |", "|---|---|---|---|"]
    for row in ROWS:
        if row.kind is not Kind.REASON:
            lines.append(f"| `{row.code}` | {' | '.join(found[row.code])} |")
    return "\n".join(lines)


def _file_of(module: ModuleType) -> str:
    return f"`{module.__name__.replace('.', '/')}.py`"


def _nodes_of(case: Elsewhere) -> str:
    return ", ".join(f"`{node}`" for node in dict.fromkeys((case.opens, case.ends, case.silent)))
