"""The faults of the pipeline, classed by what the pump does about them.

AnchorwatchError
├── ConfigError    start-up only; every problem at once, each with its place   → exit 2
├── Transient      a dependency is away; nothing was committed                  → back off, same batch again
│   └── DiskFull   there is no room to write         → go on in memory, or as above
└── Rejected       no retry can help this message                               → dead letter, its neighbours pass
anything else      a bug                                                        → crash; the supervisor restarts
"""

from collections.abc import Sequence


class AnchorwatchError(Exception):
    """Root of the faults that a caller may handle."""


class ConfigError(AnchorwatchError):
    """What the operator wrote can't be used; ``problems`` are sentences, each opening with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Transient(AnchorwatchError):
    """A dependency is away for now."""


class DiskFull(Transient):
    """There is no room to write what must be stored; reading may still work."""


class Rejected(AnchorwatchError):
    """This message can never be handled."""
