"""What the HTTP side asks of databases, in threads of its own: one that hangs holds up requests and nobody else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from schemas.faults import Transient

THREADS = 8
PATIENCE_S = 15.0
Given = ParamSpec("Given")
Result = TypeVar("Result")


class Threads:
    """A few threads for blocking questions about one part, called ``what`` in a fault."""

    def __init__(self, what: str, *, most: int = THREADS, patience_s: float = PATIENCE_S) -> None:
        self._what, self._patience_s = what, patience_s
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=f"http-{what}")

    async def ask(self, work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """Return what ``work`` returns.

        Raises:
            Transient: it takes too long; its thread is left to it.
        """
        asked = asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))
        try:
            async with asyncio.timeout(self._patience_s):
                return await asked
        except TimeoutError as error:
            raise Transient(f"the {self._what} does not answer") from error
