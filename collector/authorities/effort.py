"""The limits of one walk, so that a hostile delegation can't have us send more questions than it received.

Source: CVE-2020-12662 and the NXNSAttack paper (Afek, Bremler-Barr, Shafir 2020): a referral with many names of servers
and no address has a resolver ask for each of them. BIND 9.18 asks at most 50 questions for a name
(max-recursion-queries) and nests 7 deep (max-recursion-depth); of a delegation it looks up at most 20 names of servers
and gives up after 4 that lead nowhere (NS_PROCESSING_LIMIT, NS_FAIL_LIMIT). Unbound nests 5 deep
(target-fetch-policy) and sends at most 32 questions between two referrals (max-sent-count).
"""

MOST_QUESTIONS = 50
MOST_LOOKUPS = 16
MOST_LOOKUPS_A_DELEGATION = 4
DEEPEST = 5
MOST_REFERRALS = 30
MOST_SILENCES = 6


class Effort:
    """What one walk has left, the walks for names of servers included; every ``take_`` is False at its limit."""

    def __init__(self, most_silences: int = MOST_SILENCES) -> None:
        """Give up after ``most_silences`` servers that do not answer."""
        self.questions = 0
        self.lookups = 0
        self._silences_left = most_silences

    def take_question(self) -> bool:
        """Take one question to a server."""
        if self.questions >= MOST_QUESTIONS:
            return False
        self.questions += 1
        return True

    def take_lookup(self, depth: int) -> bool:
        """Take the lookup of the name of one server, by a walk that is nested ``depth`` deep."""
        if self.lookups >= MOST_LOOKUPS or depth >= DEEPEST:
            return False
        self.lookups += 1
        return True

    def note_silence(self) -> None:
        """Count a server that did not answer."""
        self._silences_left -= 1

    @property
    def has_patience(self) -> bool:
        """Return whether one more silent server may be waited for."""
        return self._silences_left > 0
