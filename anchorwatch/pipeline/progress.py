"""Whether every stage of this process still makes progress, and what keeps the process from its work.

Pure but for the clock, which is injected: stages say what they do, and callers get sentences. To wait for work is
progress. A stage that retries is alive but makes none; a stage that says nothing for long is stuck.
"""

from collections.abc import Callable

WAITS_S = 5.0
"""A stage that has retried for so long is not ready."""
SLOW_S = 60.0
"""A stage that has been at one step for so long is not ready."""
STUCK_S = 300.0
"""A stage that has not moved for so long is stuck: only a restart helps."""


class Step:
    """One stage's progress; the stage calls ``turned``, ``begins`` and ``waits`` from the event loop.

    ``halted`` says why the stage takes nothing in although time goes on for it; empty while it works.
    """

    def __init__(self, name: str, clock: Callable[[], float], slow_s: float = SLOW_S) -> None:
        self.name, self._clock, self._slow_s = name, clock, slow_s
        self._moved_at = self._progressed_at = clock()
        self._doing, self._waits_for = "start", ""
        self._ended = False
        self.has_turned = False
        self.halted = ""

    def expects(self, slow_s: float) -> None:
        """Say after how many seconds at one step the stage is not ready from now on."""
        self._slow_s = slow_s

    def turned(self) -> None:
        """Note progress: something was finished, or there was nothing to do."""
        self._moved_at = self._progressed_at = self._clock()
        self._waits_for = ""
        self.has_turned = True

    def begins(self, doing: str) -> None:
        """Note what is done next; this alone is no progress."""
        self._moved_at = self._clock()
        self._doing = doing

    def waits(self, why: str) -> None:
        """Note that the stage lives and tries again, since a dependency does not answer."""
        self._moved_at = self._clock()
        self._waits_for = why

    def ended(self) -> None:
        """Note that the stage came to its end in order, so no more progress is expected of it."""
        self._ended = True

    @property
    def idle_s(self) -> float:
        """Return the seconds since the last progress."""
        return 0.0 if self._ended else self._clock() - self._progressed_at

    def why_slow(self) -> str:
        """Return why the stage makes no progress, or nothing."""
        idle_s = self.idle_s
        if self.halted:
            return f"{self.name} {self.halted}"
        if self._waits_for and idle_s > WAITS_S:
            return f"{self.name} has made no progress for {idle_s:.0f} s: {self._waits_for}"
        if idle_s > self._slow_s:
            return f"{self.name} has made no progress for {idle_s:.0f} s; its step is: {self._doing}"
        return ""

    def why_stuck(self) -> str:
        """Return that only a restart helps the stage, or nothing."""
        still_s = 0.0 if self._ended else self._clock() - self._moved_at
        if still_s <= max(STUCK_S, 2 * self._slow_s):
            return ""
        return f"{self.name} has been stuck for {still_s:.0f} s; its step is: {self._doing}"


class Progress:
    """All that this process must do, and what keeps it from that.

    ``clock`` is monotonic, in seconds. A *reason* is a function that returns a sentence while it holds, else nothing:
    add one for whatever keeps the process from its work, such as a full disk. A reason that is not ``grave`` only makes
    the process not ready; a grave one also ends the heartbeat, since nobody else would tell.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps: dict[str, Step] = {}
        self._reasons: dict[str, tuple[Callable[[], str], bool]] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the stages that are tracked."""
        return tuple(self._steps.values())

    def track(self, name: str, *, slow_s: float = SLOW_S) -> Step:
        """Return the progress of a stage, from now on part of what is expected."""
        step = self._steps[name] = Step(name, self._clock, slow_s)
        return step

    def add_reason(self, name: str, why_not: Callable[[], str], *, grave: bool = True) -> None:
        """Ask ``why_not`` too from now on; a reason with the same name is replaced."""
        self._reasons[name] = (why_not, grave)

    def why_not_ready(self) -> list[str]:
        """Return why the process does not do all of its work, empty if it does."""
        return [*self._slow(), *(said for why_not, _ in self._reasons.values() if (said := why_not()))]

    def why_not_healthy(self) -> list[str]:
        """Return why the process should be restarted, empty if a restart would not help."""
        return [why for step in self._steps.values() if (why := step.why_stuck())]

    def why_no_heartbeat(self) -> list[str]:
        """Return why others must not believe that this process watches, empty if it does (or stands by)."""
        unbegun = [f"{step.name} has not begun" for step in self._steps.values() if not step.has_turned]
        grave = [said for why_not, grave in self._reasons.values() if grave and (said := why_not())]
        return [*unbegun, *self._slow(), *grave]

    def _slow(self) -> list[str]:
        return [why for step in self._steps.values() if (why := step.why_slow())]
