"""Work that may hang in what nothing can cut (a look-up, a dead file server), given up after a while."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")


def all_within(seconds: float, works: Sequence[Callable[[], Result]]) -> "list[Result | BaseException | None]":
    """Do all of ``works`` at the same time; return for each its result, its exception, or None where it is not over.

    What is not over goes on in a daemon thread, which keeps no process from ending.
    """
    results: list[Result | BaseException | None] = [None] * len(works)
    left = threading.Semaphore(0)

    def do(number: int) -> None:
        try:
            results[number] = works[number]()
        except Exception as error:  # noqa: BLE001 - the caller says what it means
            results[number] = error
        finally:
            left.release()

    for number in range(len(works)):
        threading.Thread(target=do, args=(number,), daemon=True).start()
    ends_at = time.monotonic() + seconds
    for _ in works:
        if not left.acquire(timeout=max(0.0, ends_at - time.monotonic())):
            break
    return list(results)
