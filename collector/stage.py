"""The collector as a stage: it follows the inventory, and polls what is in it, in one process."""

import time
from collections.abc import Callable, Sequence

import msgspec

from collector.config import CollectorConfig
from collector.following import InventoryFeed, InventoryFollower
from collector.inventory.sources import InventorySources
from collector.poller import Poller
from collector.polling.status import PollingStatus
from collector.resolvers.address import Address
from collector.resolvers.transport import Transport
from schemas.messages import Message


class Collector(Poller):
    """Polls the endpoints of an inventory. ``feed`` is the inventory, by default the configuration's files."""

    def __init__(
        self,
        config: CollectorConfig,
        clock: Callable[[], float],
        feed: InventoryFeed | None = None,
        ticks: Callable[[], float] = time.monotonic,
        open_transport: Callable[[Address], Transport] | None = None,
    ) -> None:
        super().__init__(config, clock, ticks, open_transport)
        files = InventorySources(config.sources, config.vantage_names, config.state) if feed is None else feed
        self._following = InventoryFollower(config, files, clock, self._wake.set)

    def status(self) -> PollingStatus:
        """Return what is polled, how polling goes, and what changed in the inventory."""
        return msgspec.structs.replace(super().status(), inventory_changes=dict(self._following.changes))

    def reload_soon(self) -> None:
        """Read the inventory again at the next occasion, changed or not."""
        self._following.reload_soon()

    def begin(self) -> None:
        """Look at the inventory at once."""
        self._following.look_again()

    def look_around(self, now: float) -> Sequence[Message]:
        """Follow the inventory; return what is to be told once it was read."""
        read = self._following.look(now)
        if read is None:
            return self._following.tell_again()
        self.change(read.change)
        return read.messages
