"""All partitions to one member of a group, the others stand by.

What the analyzer and the alerts know of a cause comes from every endpoint behind it, whichever partition it is on; so
one process has them all, and another takes over, from the history, when it is gone.
"""

from typing import Any

from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

NAME = "anchorwatch-active"


class ActiveAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """Keeps the active member active when others come and go. One instance a consumer.

    ``generation`` is the group's at the last assignment; ``active_at`` the last one in which this member was active,
    and ``since`` the first one that it was in, 0 for never. Members tell each other the last two: one that left for a
    while does not outrank the one that took over, and where nobody was active who stands by for longest takes over,
    not the one that has just ended and is started again.
    """

    name = NAME

    def __init__(self) -> None:
        self.generation = self.active_at = self.since = 0

    def assign(self, cluster: Any, members: Any) -> dict[str, Any]:
        """Return everything for one member, nothing for the others."""
        chosen = min(members, key=lambda member: (*_rank(member.metadata.user_data), member.member_id)).member_id
        topics = sorted({topic for member in members for topic in member.metadata.topics})
        everything = [(topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in topics]
        return {
            member.member_id: ConsumerProtocolAssignment(0, everything if member.member_id == chosen else [], b"")
            for member in members
        }

    def metadata(self, topics: Any) -> Any:
        """Return what this member says when it joins: in which generation it was the active one, and came."""
        return ConsumerProtocolSubscription(0, sorted(topics), f"{self.active_at} {self.since}".encode())

    def on_assignment(self, assignment: Any, generation: Any) -> None:
        """Note whether this member is the active one now."""
        self.generation = int(generation)
        self.since = self.since or self.generation
        if assignment.partitions():
            self.active_at = self.generation


def _rank(user_data: bytes | None) -> tuple[int, float]:
    """Return where a member stands, the first one first; what can't be read is said by one that has just come."""
    words = (user_data or b"").split()
    active_at, since = (int(word) for word in words) if len(words) == 2 and all(map(bytes.isdigit, words)) else (0, 0)
    return -active_at, since or float("inf")
