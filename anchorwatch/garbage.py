"""How often Python looks for reference cycles."""

import gc

YOUNG_OBJECTS = 10_000


def collect_seldom() -> None:
    """Look for cycles after so many new objects instead of 700: messages and their records have none."""
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
