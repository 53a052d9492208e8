"""Coroutines that wait for nothing, run where they stand: the stages' drivers on a clock that is not the machine's."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

Result = TypeVar("Result")


class InlineLoop:
    """Runs what is meant for threads at once. Whatever would really wait is refused."""

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Result], *args: Any) -> "_Done":
        """Return what a function returns, at once."""
        return _Done(func(*args))

    def run(self, story: Coroutine[Any, Any, Result]) -> Result:
        """Return what a coroutine comes to.

        Raises:
            RuntimeError: it waits for something.
        """
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)  # type: ignore[arg-type]
        try:
            story.send(None)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        finally:
            asyncio._set_running_loop(before)
        story.close()
        raise RuntimeError("a stage waits for something that never happens on a virtual clock")


class _Done:
    """An awaitable that has its result already."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def __await__(self) -> Any:
        return self._result
        yield
