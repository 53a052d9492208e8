"""A process that polls its share: it is told what to poll, and hands on what it observes.

``workers`` starts it, through ``worker_start``. It ends when it is told to, or when who started it is gone.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time

from anchorwatch.pipeline.frames import Again, Closed, Start, Stop, messages_frame, read_order, status_frame
from anchorwatch.telemetry import set_up_logging
from collector.poller import Poller
from collector.polling.roster import RosterChange

STATUS_EVERY_S = 0.5


async def work(orders: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    """Poll what the orders say until they end."""
    start = await read_order(orders)
    assert isinstance(start, Start)
    set_up_logging(start.level, start.log_format)
    poller = Poller(start.config, time.time)
    listening = asyncio.create_task(_listen(poller, orders))
    told_at = float("-inf")
    try:
        async for batch in poller.observe():
            if listening.done():
                listening.result()
            if batch:
                out.write(messages_frame(batch))
            if (now := time.monotonic()) - told_at >= STATUS_EVERY_S:
                told_at = now
                out.write(status_frame(poller.status()))
            await out.drain()
        out.write(status_frame(poller.status()))
        await out.drain()
    finally:
        listening.cancel()


async def _listen(poller: Poller, orders: asyncio.StreamReader) -> None:
    while True:
        match await read_order(orders):
            case RosterChange() as change:
                poller.change(change)
            case Again(subjects):
                poller.observe_again(subjects)
            case Stop():
                poller.stop()


async def _main() -> int:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout)
    with contextlib.suppress(Closed, BrokenPipeError, ConnectionResetError):
        await work(orders, asyncio.StreamWriter(transport, protocol, None, loop))
    return 0


def main() -> None:
    """Run in the foreground; what ends the others is the business of the process that started this one."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    status = asyncio.run(_main())
    sys.stderr.flush()
    os._exit(status)  # a thread that looks a name up may hang
