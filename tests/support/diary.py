"""What the servers of zones said, and when: asked by ourselves, so that others' accounts can be held against it."""

import threading
from collections.abc import Callable

from tests.support.daemons import until
from tests.support.signers import Page, Signers

LOOK_S = 0.1


class Diary:
    """A thread that asks the servers of each zone all the time, and keeps a page for each change."""

    def __init__(self, signers: Signers) -> None:
        self._signers = signers
        self._pages: dict[str, list[Page]] = {zone: [signers.look(zone)] for zone in signers.zones}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def pages(self, zone: str) -> list[Page]:
        """Return all that was served of a zone, oldest first."""
        return list(self._pages[zone])

    def now(self, zone: str) -> Page:
        """Return what is served of a zone."""
        return self._pages[zone][-1]

    def first_at(self, zone: str, holds: Callable[[Page], bool]) -> float | None:
        """Return when it was seen first that a page holds; None: never."""
        return next((page.at for page in self._pages[zone] if holds(page)), None)

    def until(self, zone: str, holds: Callable[[Page], bool], claim: str, *, within_s: float) -> Page:
        """Wait until what is served holds, and return it."""

        def look() -> Page | None:
            page = self.now(zone)
            return page if holds(page) else None

        return until(look, f"{zone}: {claim}; its last page is {self.now(zone)}", within_s=within_s)

    def _keep(self) -> None:
        while not self._ended.wait(LOOK_S):
            for zone, pages in self._pages.items():
                page = self._signers.look(zone)
                if page.keys and page.shows() != pages[-1].shows():
                    pages.append(page)
