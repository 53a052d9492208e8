"""What Schemathesis needs to know of our formats to make valid ones; SCHEMATHESIS_HOOKS names this file."""

from typing import Any

import schemathesis
from hypothesis import strategies as st

LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
WORDS = st.from_regex(r"[a-z]{1,12}", fullmatch=True)
KEYS, SIGNS = st.sampled_from(["owner", "zone"]), st.sampled_from(["=", "!="])

schemathesis.openapi.format("dns-name", st.lists(LABELS, min_size=1, max_size=5).map(".".join))
schemathesis.openapi.format("printable", st.text(st.characters(categories=("L", "N", "P")), max_size=40))
schemathesis.openapi.format("matcher", st.builds("{}{}{}".format, KEYS, SIGNS, WORDS))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Leave made-up cursors out of valid requests: only the list itself makes valid ones."""
    if case.query and case.meta is not None and case.meta.generation.mode.is_positive:
        case.query.pop("cursor", None)
