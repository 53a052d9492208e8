"""What one reading of an inventory has and another has not. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from schemas.messages import Identity

FIELDS = ("kind", "owner", "environment", "criticality", "labels")
MOST_HOSTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """An identity that is in both: the hosts that came and went, and which of its fields say something else.

    ``is_expectation`` says that of a host that stayed something else is asked or expected, or that it stands elsewhere.
    """

    id: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    fields: tuple[str, ...]
    is_expectation: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """The identities that came, went and changed, each ordered by id."""

    added: tuple[Identity, ...] = ()
    removed: tuple[Identity, ...] = ()
    changed: tuple[IdentityChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many identities came, went and changed."""
        return {"added": len(self.added), "removed": len(self.removed), "changed": len(self.changed)}

    def lines(self) -> Iterator[str]:
        """Yield a line for each, those that went first."""
        for one in self.removed:
            yield f"- {one.id}{_of(one.owner)}{_hosts([e.host for e in one.endpoints], ': ')}"
        for one in self.added:
            yield f"+ {one.id}{_of(one.owner)}{_hosts([e.host for e in one.endpoints], ': ')}"
        for change in self.changed:
            parts = [_hosts(change.removed, "no longer "), _hosts(change.added, "now also ")]
            parts += [f"another {', '.join(change.fields)}"] if change.fields else []
            parts += ["its endpoints are described otherwise"] if change.is_expectation else []
            yield f"~ {change.id}: {'; '.join(filter(None, parts))}"


def find_differences(before: Mapping[str, Identity], after: Mapping[str, Identity]) -> Difference:
    """Return what differs between two readings of an inventory, each by id."""
    added = [one for key, one in after.items() if key not in before]
    removed = [one for key, one in before.items() if key not in after]
    changed = []
    for key, one in after.items():
        earlier = before.get(key)
        if earlier is not None and earlier is not one and earlier != one:
            changed.append(_change(earlier, one))
    return Difference(
        tuple(sorted(added, key=lambda one: one.id)),
        tuple(sorted(removed, key=lambda one: one.id)),
        tuple(sorted(changed, key=lambda one: one.id)),
    )


def _change(before: Identity, after: Identity) -> IdentityChange:
    had, has = ({endpoint.host for endpoint in one.endpoints} for one in (before, after))
    stayed = [[endpoint for endpoint in one.endpoints if endpoint.host in had & has] for one in (before, after)]
    return IdentityChange(
        id=after.id,
        added=tuple(sorted(has - had)),
        removed=tuple(sorted(had - has)),
        fields=tuple(name for name in FIELDS if getattr(before, name) != getattr(after, name)),
        is_expectation=stayed[0] != stayed[1],
    )


def _of(owner: str) -> str:
    return f" (owner {owner})" if owner else ""


def _hosts(hosts: list[str] | tuple[str, ...], prefix: str) -> str:
    if not hosts:
        return ""
    shown = sorted(dict.fromkeys(hosts))
    more = f" and {len(shown) - MOST_HOSTS_SHOWN} more" if len(shown) > MOST_HOSTS_SHOWN else ""
    return prefix + ", ".join(shown[:MOST_HOSTS_SHOWN]) + more
