"""Which of a zone's servers is asked first: any that is not known to fail, each in its turn; then the others."""

import hashlib
from collections.abc import Iterable

from collector.authorities.addresses import family_of
from collector.dnssec.message import Response
from collector.dnssec.names import Name
from collector.dnssec.questions import FetchFailure, Reply

REST_S = 30.0
LONGEST_REST_S = 900.0
LAME_S = 300.0
FAMILY_S = 7200.0
MOST_KNOWN = 50_000


class Standing:
    """What the servers have shown. Times are those of the clock that only runs on."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._rests_until: dict[str, float] = {}
        self._lame_until: dict[tuple[Name, str], float] = {}
        self._answered_at: dict[int, float] = {}
        self._turn = 0

    def in_order(self, zone: Name, addresses: Iterable[str], now: float, avoid: str = "") -> list[str]:
        """Return addresses in the order in which to ask them for ``zone``: another one first each time.

        Those that fail come last, and ``avoid`` before them. Where it is not known what leads anywhere, IPv4 is tried
        before IPv6.
        """
        self._turn += 1
        turn = self._turn.to_bytes(8, "big")

        def rank(address: str) -> tuple[bool, int, bool, bytes]:
            is_known_to_fail = (
                self._rests_until.get(address, 0.0) > now or self._lame_until.get((zone, address), 0.0) > now
            )
            family = family_of(address)
            spread = hashlib.blake2b(turn + address.encode(), digest_size=8).digest()
            return is_known_to_fail, 0 if self.reaches(family, now - FAMILY_S) else family, address == avoid, spread

        return sorted(addresses, key=rank)

    def learn(self, address: str, reply: Reply, now: float) -> None:
        """Take in what came of asking a server."""
        if isinstance(reply, Response) or not reply.is_silence:
            self._answered_at[family_of(address)] = now
        if isinstance(reply, FetchFailure):
            count = self._failures[address] = self._failures.pop(address, 0) + 1
            rest_s = min(REST_S * 2 ** min(count - 1, 10), LONGEST_REST_S)
            self._rests_until[address] = now + rest_s
        else:
            self._failures.pop(address, None)
            self._rests_until.pop(address, None)
        for known in (self._failures, self._rests_until):
            if len(known) > MOST_KNOWN:
                del known[next(iter(known))]

    def note_lame(self, zone: Name, address: str, now: float) -> None:
        """Note that a server does not know a zone."""
        self._lame_until.pop((zone, address), None)
        self._lame_until[zone, address] = now + LAME_S
        if len(self._lame_until) > MOST_KNOWN:
            del self._lame_until[next(iter(self._lame_until))]

    def reaches(self, family: int, since: float) -> bool:
        """Return whether some server has answered over IPv4 or IPv6 since an instant."""
        return self._answered_at.get(family, float("-inf")) >= since
