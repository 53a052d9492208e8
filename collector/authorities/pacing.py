"""How many questions a second one server gets, and all of them together. Pure: the time is an argument.

A bucket of tokens an address: it holds those of one second, so that a burst passes at once and a stream at the rate.
"""

MOST_ADDRESSES = 50_000


class Pace:
    """When questions may leave. Times are those of the clock that only runs on."""

    def __init__(self, rate: float, total_rate: float) -> None:
        """Allow ``rate`` questions a second to one address, and ``total_rate`` to all together."""
        self._all = _Bucket(total_rate)
        self._rate = rate
        self._buckets: dict[str, _Bucket] = {}

    @property
    def known(self) -> int:
        """Return how many addresses are remembered."""
        return len(self._buckets)

    def take(self, address: str, now: float) -> float:
        """Take the next place of a question to an address; return how many seconds to wait for it."""
        bucket = self._buckets.pop(address, None) or _Bucket(self._rate)
        self._buckets[address] = bucket
        if len(self._buckets) > MOST_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return max(bucket.take(now), self._all.take(now))


class _Bucket:
    """Tokens that come at a rate, at most those of one second; a debt is what was taken ahead."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = max(rate, 1.0)
        self._filled_at = float("-inf")

    def take(self, now: float) -> float:
        if self._filled_at != float("-inf"):
            gained = max(now - self._filled_at, 0.0) * self._rate
            self._tokens = min(self._tokens + gained, max(self._rate, 1.0))
        self._filled_at = max(now, self._filled_at)
        self._tokens -= 1.0
        return max(-self._tokens / self._rate, 0.0)
