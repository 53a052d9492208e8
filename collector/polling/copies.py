"""For how long others may keep what a vantage shows, by what its own copies of it have shown. Pure.

A resolver keeps a copy for what is left of its TTL, and some keep nothing for longer than they like; others, that asked
when it did, keep it for the whole TTL. Times are POSIX seconds.
"""

from dataclasses import dataclass, replace

SAME_COPY_S = 5
"""Copies whose ends lie so close to each other are one."""
ASKED_AFTER_S = 600
"""A new copy may have been made so long before we saw it, since another client asked for it."""
LONGEST_S = 604_800


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of one RRset at one vantage: its original TTL, the end of the latest copy, and the longest new one.

    ``longest_s`` is the TTL that the vantage gives a new copy, as far as it was seen; None: none was made anew yet.
    """

    original_s: int = 0
    until: int = 0
    longest_s: int | None = None

    def see(self, original_s: int, until: int, now: int) -> "Copies":
        """Return them with one that was seen now and that ends at ``until``; 0: none was seen."""
        if not until:
            return self
        if original_s != self.original_s:
            return Copies(original_s, until)
        if until <= self.until + SAME_COPY_S:
            return self
        return replace(self, until=until, longest_s=max(until - now, self.longest_s or 0))

    @property
    def others_until(self) -> int:
        """Return until when others may keep it that asked when the vantage did, rather too early; 0: unknown."""
        if not self.until or self.longest_s is None:
            return self.until
        beyond_s = self.original_s - self.longest_s - ASKED_AFTER_S
        return self.until + min(max(beyond_s, 0), LONGEST_S)
