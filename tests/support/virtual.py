"""Time that passes only while nobody has anything to do, and a network without sockets: minutes of it take no time."""

import asyncio
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Leap(selectors.SelectSelector):
    """Waits for nothing: what a loop would wait is added to its time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on a clock of its own; what is given to threads runs at once, where it stands."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Result], *args: Any
    ) -> "asyncio.Future[Result]":
        future: asyncio.Future[Result] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as fault:  # noqa: BLE001 - whoever awaits it raises it
            future.set_exception(fault)
        return future


def run(story: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)


async def _for_ever() -> bytes:
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    return await future


class Memory:
    """Carries queries to a function that answers them, None for silence, ``latency_s`` later."""

    def __init__(self, reply_to: Callable[..., bytes | None], latency_s: float = 0.001) -> None:
        self._reply_to, self._latency_s = reply_to, latency_s

    async def datagrams(self, wire: bytes) -> AsyncGenerator[bytes, None]:
        await asyncio.sleep(self._latency_s)
        reply = self._reply_to(wire, stream=False)
        if reply is not None:
            yield reply
        await _for_ever()

    async def stream(self, wire: bytes) -> bytes:
        await asyncio.sleep(self._latency_s)
        reply = self._reply_to(wire, stream=True)
        return reply if reply is not None else await _for_ever()
