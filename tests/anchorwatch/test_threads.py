import asyncio
import threading

import pytest

from anchorwatch.web.threads import Threads
from schemas.faults import Transient


def test_what_hangs_is_given_up_on_and_takes_no_thread_from_others() -> None:
    goes_on = threading.Event()

    async def story() -> list[object]:
        threads = Threads("history", most=2, patience_s=0.05)
        asked = [asyncio.create_task(threads.ask(goes_on.wait, 20)) for _ in range(50)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 10) == "free"
        return list(await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10))

    try:
        outcomes = asyncio.run(story())
    finally:
        goes_on.set()

    assert {str(outcome) for outcome in outcomes} == {"the history does not answer"}
    assert all(isinstance(outcome, Transient) for outcome in outcomes)


def test_an_answer_and_a_fault_come_as_they_are() -> None:
    def fails(number: int, *, by: int) -> float:
        return number / by

    async def story() -> float:
        threads = Threads("ledger")
        with pytest.raises(ZeroDivisionError):
            await threads.ask(fails, 1, by=0)
        return await threads.ask(fails, 6, by=3)

    assert asyncio.run(story()) == 2
