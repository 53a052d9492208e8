"""A parent that follows its children: it polls their CDS, has `dnssec-cds` judge it, and updates its zone.

Source: RFC 7344 §6, RFC 8078 §3 and §4.
"""

import threading
from pathlib import Path

from tests.support.daemons import run_tool
from tests.support.signers import Signers
from tests.support.signing_policies import BindZone

POLL_S = 0.3
DELETE = {0}
BACKDATED_S = 86_400
"""dnssec-cds takes no signatures older than its file of DS, and signers date theirs an hour back."""


class Registry:
    """A thread that follows the CDS of zones; of those of BIND it tells the signer what the parent has now."""

    def __init__(self, signers: Signers, folder: Path, zones: set[str]) -> None:
        self._signers, self._folder = signers, folder
        self.zones = set(zones)
        self.refusals: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow_all, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def _follow_all(self) -> None:
        while not self._ended.wait(POLL_S):
            for zone in sorted(self.zones):
                try:
                    self._follow(zone)
                except AssertionError as refusal:  # keys and CDS of different moments are none of one zone
                    self.refusals.append(f"{zone}: {refusal}")

    def _follow(self, zone: str) -> None:
        page = self._signers.look(zone)
        if not page.cds or not page.ds or page.cds == page.ds:
            return
        child, parent = (self._folder / f"{zone}{what}" for what in ("child", "parent"))
        child.write_text(self._signers.signed_cds(zone))
        parent.write_text("".join(f"{zone} IN DS {text}\n" for text in self._signers.ds_texts(zone)))
        options = ("-s", f"-{BACKDATED_S}", "-f", child, "-d", parent)
        judged = run_tool("dnssec-cds", *options, zone, cwd=self._folder)
        # RFC 8078 §4: a request for no DS. That it is signed was judged; dnssec-cds makes a DS of its CDNSKEY.
        wanted = [line.split(" DS ")[1] for line in judged.splitlines()] if page.cds != DELETE else []
        self._signers.set_ds(zone, *wanted)
        if isinstance(self._signers.zones[zone], BindZone):
            tags = {int(text.split()[0]) for text in wanted}
            for tag in sorted(tags - page.ds):
                self._signers.tell_bind(zone, tag, "published")
            for tag in sorted(page.ds - tags):
                self._signers.tell_bind(zone, tag, "withdrawn")
