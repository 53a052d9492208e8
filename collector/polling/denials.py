"""How a zone proves absence, by all proofs that were seen: spans and servers may differ, and take turns. Pure.

What was seen once is known until a hundred proofs came without it. A span that had no opt-out and has it now is turned;
a span that was never seen says nothing of what was turned.

Source: RFC 5155 §6 (opt-out is a flag of each span), §10.4 (two chains while parameters change).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.messages import DenialParameters, DenialSpan
from schemas.zone import overlap

FORGOTTEN_AFTER = 100
"""Proofs, of whatever kind: time says nothing of what a zone does."""
MOST_WAYS = 8
MOST_SPANS = 32


@dataclass(frozen=True, slots=True)
class Denials:
    """The proofs seen of one zone; values are the number of the proof that showed each last.

    ``turned`` are spans that had no opt-out once and have it now, by chain and first hash.
    """

    last: DenialParameters | None = None
    ways: dict[DenialParameters, int] = field(default_factory=dict)
    spans: dict[DenialSpan, int] = field(default_factory=dict)
    turned: dict[str, int] = field(default_factory=dict)
    seen: int = 0

    def is_known(self, way: DenialParameters | None, spans: Sequence[DenialSpan]) -> bool:
        """Return whether after a proof the same ways and turned spans are known as before."""
        if way is None:
            return True
        after = self.see(way, spans)
        return (after.ways.keys(), after.turned.keys()) == (self.ways.keys(), self.turned.keys())

    def _turned_by(self, spans: Sequence[DenialSpan]) -> list[DenialSpan]:
        plain = [span for span in self.spans if not span.opt_out]
        return [span for span in spans if span.opt_out and any(overlap(span, one) for one in plain)]

    def see(self, way: DenialParameters | None, spans: Sequence[DenialSpan]) -> "Denials":
        """Return them with one more proof; None: there was none."""
        if way is None:
            return self
        seen = self.seen + 1
        since = seen - FORGOTTEN_AFTER
        again = [span for span in spans if span.opt_out and name_of(span) in self.turned]
        turned = self.turned | {name_of(span): seen for span in (*again, *self._turned_by(spans))}
        # A span of now takes the place of those that it overlaps, unless both come in turn.
        kept = {one: at for one, at in self.spans.items() if not any(_replaces(span, one) for span in spans)}
        kept = {one: at for one, at in kept.items() if one not in spans} | dict.fromkeys(spans, seen)
        return Denials(
            last=way,
            ways=_newest({**self.ways, way: seen}, since, MOST_WAYS),
            spans=dict(list(kept.items())[-MOST_SPANS:]),
            turned={name: at for name, at in list(turned.items())[-MOST_SPANS:] if at > since},
            seen=seen,
        )


def _newest(seen_at: dict[DenialParameters, int], since: int, most: int) -> dict[DenialParameters, int]:
    ranked = sorted(seen_at.items(), key=lambda one: one[1])
    return {way: at for way, at in ranked[-most:] if at > since}


def _replaces(span: DenialSpan, known: DenialSpan) -> bool:
    return span.opt_out == known.opt_out and span != known and overlap(span, known)


def name_of(span: DenialSpan) -> str:
    """Return what a span is known by."""
    return f"{span.iterations} {span.salt} {span.first}"
