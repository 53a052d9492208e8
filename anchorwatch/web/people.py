"""Who asks, and what they may: pure."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

MOST_SIGNS = 100
EVERYBODY = "*"


class Role(StrEnum):
    """What somebody may do."""

    READ = "read"
    ACT = "act"
    """Read, and do what changes something."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: ``name`` is empty for who only showed a token, ``via`` says who vouches for the name."""

    role: Role
    name: str = ""
    via: str = ""

    @property
    def may_act(self) -> bool:
        """Return whether this person may change something."""
        return self.role is Role.ACT


ANYBODY = Person(Role.ACT)
"""Who asks where nobody has to sign in."""


class Roles(msgspec.Struct, frozen=True, kw_only=True):
    """Which groups may what; ``*`` is everybody whom proxy or provider let in."""

    act: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()

    def of(self, groups: Collection[str]) -> Role | None:
        """Return what members of these groups may, None for nothing."""
        known = {*groups, EVERYBODY} if EVERYBODY not in groups else set(groups) - {EVERYBODY}
        if not self.act.isdisjoint(known):
            return Role.ACT
        return Role.READ if not self.read.isdisjoint(known) else None


def clean_name(text: str) -> str:
    """Return a name as it may be shown and kept, empty if nothing of it may."""
    return "".join(sign for sign in text if sign.isprintable())[:MOST_SIGNS].strip()


def person_of(asked: "HTTPConnection") -> Person:
    """Return who sent a request that was let in."""
    person: Person = asked.scope.get("state", {}).get("person", ANYBODY)
    return person
