"""Why two validators differ on a case: named classes, each with its reason; what no class explains is a failure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from damage import Case
from oracles import Opinion


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One difference: with whom, and the class that explains it."""

    who: str
    klass: str


def classify(case: Case, ours: Opinion, unbound: Opinion, delv: Opinion | None) -> Iterator[Disagreement]:
    """Yield the differences of one case."""
    if ours.verdict != unbound.verdict:
        why = re.sub(r"<[^>]*>", "<>", unbound.why)
        why = re.sub(r"(for|key|DS|cache) [a-z0-9*.]+\.", r"\1 X", why)
        yield Disagreement("Unbound", f"UNEXPLAINED {ours.verdict} / {unbound.verdict} {ours.why.split(':')[0]} {why}")
    if delv is not None and delv.verdict != ours.verdict:
        yield Disagreement("delv", f"{ours.verdict} / {delv.verdict} {ours.why.split(':')[0]} {delv.why}")


def is_failure(found: Sequence[Disagreement]) -> bool:
    """Return whether a difference with Unbound is unexplained."""
    return any(one.klass.startswith("UNEXPLAINED") for one in found)


def unexplained(found: Iterable[Disagreement]) -> list[Disagreement]:
    """Return the differences without a class."""
    return [one for one in found if one.klass.startswith("UNEXPLAINED")]
