"""Who may do what on the bus: the rights that each stage needs and no others. ``compose/kafka/acls.py`` grants them."""

from typing import Literal

import msgspec

from anchorwatch.kafka.topics import (
    ACTS,
    DEAD,
    FINDINGS,
    INVENTORY,
    LEDGER,
    NOTIFICATIONS,
    OBSERVATIONS,
    POLLS,
    TOPICS,
    ZONES,
)

Role = Literal["collector", "analyzer", "alerts", "operator"]
Kind = Literal["topic", "group", "transactional_id"]
STAGES: tuple[Role, ...] = ("collector", "analyzer", "alerts")


class Right(msgspec.Struct, frozen=True):
    """One thing that a role may do with one resource; ``name`` without the prefix."""

    role: Role
    operation: Literal["read", "write", "describe", "describe_configs"]
    kind: Kind
    name: str


READS: dict[Role, tuple[str, ...]] = {
    "collector": (INVENTORY, ACTS),
    "analyzer": (INVENTORY, ACTS, ZONES, OBSERVATIONS, POLLS),
    "alerts": (FINDINGS, ACTS, LEDGER),
    "operator": (DEAD, NOTIFICATIONS),
}
WRITES: dict[Role, tuple[str, ...]] = {
    "collector": (INVENTORY, ACTS, ZONES, OBSERVATIONS, POLLS, DEAD),
    "analyzer": (FINDINGS, ACTS, DEAD),
    "alerts": (LEDGER, NOTIFICATIONS, ACTS, DEAD),
    # What ``anchorwatch dead replay`` sends again.
    "operator": (INVENTORY, ACTS, ZONES, OBSERVATIONS, POLLS, FINDINGS),
}


def rights() -> list[Right]:
    """Return all rights. Every role looks at the topics' settings when it starts."""
    found = []
    for role, names in READS.items():
        found += [Right(role, "read", "topic", name) for name in names]
        found += [Right(role, "write", "topic", name) for name in WRITES[role]]
        for topic in TOPICS:
            found += [
                Right(role, "describe", "topic", topic.name),
                Right(role, "describe_configs", "topic", topic.name),
            ]
    found += [Right(role, "read", "group", role) for role in STAGES]
    found += [
        Right("alerts", "write", "transactional_id", LEDGER),
        Right("alerts", "describe", "transactional_id", LEDGER),
    ]
    return found


def table(prefix: str = "anchorwatch") -> str:
    """Return the rights as a table in Markdown."""
    lines = ["| role | reads | writes | group | transactional id |", "|---|---|---|---|---|"]
    for role, names in READS.items():
        cells = (
            ", ".join(f"`{prefix}.{name}`" for name in names),
            ", ".join(f"`{prefix}.{name}`" for name in WRITES[role]),
            f"`{prefix}.{role}`" if role in STAGES else "",
            f"`{prefix}.{LEDGER}`" if role == "alerts" else "",
        )
        lines.append(f"| {role} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
