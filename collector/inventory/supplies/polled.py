"""A source that is asked again and again, in a thread of its own: nobody waits for a server that does not answer."""

import hashlib
import threading
import time
from collections.abc import Callable

from collector.inventory.supplies.supply import Delivery

AFTER_FAILURE_S = 60.0


class Polled:
    """What ``fetch`` delivers, asked for every ``every_s``; ``stopwatch`` returns seconds that nobody sets.

    The first reading waits for at most ``patience_s``.

    ``fetch`` returns None where nothing changed since it was called last, and raises ValueError where there is nothing.
    One call is under way at most. A failure lasts until the next call: it is asked again after a minute at the latest.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[], Delivery | None],
        every_s: float,
        patience_s: float,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._fetch, self._every_s, self._patience_s, self._stopwatch = fetch, every_s, patience_s, stopwatch
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._due_at = float("-inf")
        self._delivery: Delivery | None = None
        self._digest = ""
        self._failure = ""
        self._crash: BaseException | None = None
        self._version = 0

    def stamp(self) -> object:
        """Return what changes with what is delivered, or with why nothing is; begin to ask where it is time."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return self._version or None
            if self._stopwatch() >= self._due_at:
                self._due_at = self._stopwatch() + self._every_s
                self._thread = threading.Thread(target=self._ask, name="inventory", daemon=True)
                self._thread.start()
            return self._version or None

    def read(self) -> Delivery:
        """Return what was delivered last; wait for it only the first time.

        Raises:
            ValueError: the last answer is none; the sentence says why.
        """
        if not self._version:
            self.stamp()
            thread = self._thread
            if thread is not None:
                thread.join(self._patience_s)
        with self._lock:
            crash, self._crash = self._crash, None
            if crash is not None:
                raise crash
            if self._failure or self._delivery is None:
                raise ValueError(self._failure or f"{self._name}: no answer yet")
            found = self._delivery
            return Delivery(found.documents, found.unread, found.notes, found.written_ns, self._version)

    def _ask(self) -> None:
        delivery, failure = None, ""
        try:
            delivery = self._fetch()
        except ValueError as problem:
            failure = str(problem)
        except Exception as crash:  # noqa: BLE001 - a thread has nobody else to tell; whoever reads raises it
            self._crash = crash
        digest = _digest_of(delivery) if delivery is not None else self._digest
        with self._lock:
            if digest != self._digest or failure != self._failure or self._crash is not None or not self._version:
                self._version += 1
            self._failure = failure
            if delivery is not None and digest != self._digest:
                self._delivery, self._digest = delivery, digest
            if failure:
                self._due_at = self._stopwatch() + min(AFTER_FAILURE_S, self._every_s)


def _digest_of(delivery: Delivery) -> str:
    whole = hashlib.sha256(repr((delivery.unread, delivery.notes)).encode())
    for document in delivery.documents:
        whole.update(f"{document.name}\0{len(document.content)}\0".encode())
        whole.update(document.content)
    return whole.hexdigest()
