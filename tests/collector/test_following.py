"""The inventory is looked at in a thread: a disk that hangs holds nobody up, and is told."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

from collector.config import CollectorConfig, InventorySource, VantagePoint
from collector.dnssec import names
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.policy import Policy
from collector.following import HANGS, LONGEST_READ_S, RELOAD_CHECK_S, InventoryFollower
from collector.inventory.rows import Inventory
from collector.resolvers.address import Address
from schemas.codes import Code
from schemas.messages import Identity, Message, SelfReport
from tests.support.making import AT


class Feed:
    """An inventory of one identity on a disk that may hang."""

    def __init__(self) -> None:
        self.troubles: dict[str, str] = {}
        self.shrunk: dict[str, str] = {}
        self.answers = threading.Event()
        self.answers.set()
        self.is_new = True
        self.threads: set[int] = set()

    def changed(self) -> bool:
        self.threads.add(threading.get_ident())
        assert self.answers.wait(30)
        return self.is_new

    def load(self) -> Inventory:
        self.is_new = False
        return Inventory((Identity(id="sa"),))

    def news(self, now: float) -> list[Message]:
        return []

    def is_ours(self, name: names.Name) -> bool:
        return True


def make_config() -> CollectorConfig:
    return CollectorConfig(
        sources=(InventorySource(path=Path("accounts.csv")),),
        vantages=(VantagePoint(name="corp", address=Address("udp", "192.0.2.1", 53)),),
        anchors=TrustAnchors({}),
        policy=Policy(),
        interval_s=60.0,
    )


def stale(messages: Sequence[Message]) -> list[str]:
    return [one.detail for one in messages if isinstance(one, SelfReport) and one.code == Code.SELF_INVENTORY_STALE]


def test_a_disk_that_hangs_holds_nobody_up_and_is_told_until_all_was_read_again() -> None:
    async def story() -> None:
        feed, woken = Feed(), asyncio.Event()
        follower = InventoryFollower(make_config(), feed, AT.timestamp, woken.set)

        async def look(now: float) -> Sequence[Message] | None:
            assert follower.look(now) is None
            await woken.wait()
            woken.clear()
            read = follower.look(now)
            return read.messages if read is not None else None

        assert stale(await look(0.0) or ()) == [""]
        feed.answers.clear()
        began = 10 * RELOAD_CHECK_S
        assert follower.look(began) is None
        assert follower.look(began + LONGEST_READ_S) is None
        assert stale(follower.tell_again()) == []
        assert follower.look(began + LONGEST_READ_S + 1) is None
        assert stale(follower.tell_again()) == [HANGS]
        assert stale(follower.tell_again()) == [], "once"

        feed.answers.set()
        await woken.wait()
        woken.clear()
        assert follower.look(began + LONGEST_READ_S + 2) is None
        assert stale(await look(began + LONGEST_READ_S + 3) or ()) == [""]
        assert feed.threads
        assert threading.get_ident() not in feed.threads

    asyncio.run(story())
