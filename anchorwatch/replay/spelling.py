"""The known word that somebody probably meant. Pure."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[object]) -> str:
    """Return the nearest known word as a question, empty where none is near; letters in another order come first."""
    found = difflib.get_close_matches(word, [str(one) for one in known], 3, 0.6)
    found.sort(key=lambda one: sorted(one) != sorted(word))
    return f"; {found[0]!r} is meant?" if found else ""
