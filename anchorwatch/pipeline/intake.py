"""Whether a stage takes messages: too many dead letters are not the fault of one message. Pure: time comes in."""

from collections import deque
from collections.abc import Iterable

MOST_IN_A_ROW = 20
"""So many messages in a row may become dead letters."""
WINDOW = 200
MOST_IN_WINDOW = 100
"""So many of the last ``WINDOW`` messages may become dead letters."""
FIRST_HALT_S = 0.5
LONGEST_HALT_S = 60.0


class Intake:
    """Remembers which of the last messages became dead letters, and when a halted stage tries again.

    An *outcome* is True for a dead letter, False for a message that was handled. A try counts only once it is accepted,
    so a halted stage takes messages again as soon as the same batch stays within the limits. ``now`` is in seconds of
    any clock that only goes forward.
    """

    def __init__(self) -> None:
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._pause_s = 0.0
        self.why_halted = ""
        self.retry_at = 0.0

    def why_too_many(self, outcomes: Iterable[bool]) -> str:
        """Return why messages with these outcomes must not be accepted, or nothing."""
        recent = deque(self._outcomes, WINDOW)
        in_window, in_a_row = sum(recent), _row_at_end(recent)
        for is_dead in outcomes:
            if len(recent) == WINDOW:
                in_window -= recent[0]
            recent.append(is_dead)
            in_window += is_dead
            in_a_row = in_a_row + 1 if is_dead else 0
            if in_a_row > MOST_IN_A_ROW:
                return f"{in_a_row} messages in a row would be dead letters"
            if in_window > MOST_IN_WINDOW:
                return f"{in_window} of the last {len(recent)} messages would be dead letters"
        return ""

    def accept(self, outcomes: Iterable[bool]) -> None:
        """Remember what became of a batch."""
        self._outcomes.extend(outcomes)

    def halt(self, why: str, now: float) -> None:
        """Take no messages until ``retry_at``; each halt after another is twice as long."""
        self._pause_s = min(self._pause_s * 2 or FIRST_HALT_S, LONGEST_HALT_S)
        self.why_halted, self.retry_at = why, now + self._pause_s

    def resume(self) -> None:
        """Take messages again."""
        self._pause_s, self.why_halted = 0.0, ""


def _row_at_end(outcomes: deque[bool]) -> int:
    row = 0
    for is_dead in reversed(outcomes):
        if not is_dead:
            break
        row += 1
    return row
