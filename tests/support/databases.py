"""Databases of their own on one engine."""

import itertools

_numbers = itertools.count(1)


def new_database() -> str:
    return f"test_{next(_numbers)}"
