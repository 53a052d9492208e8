"""What is done to the keys and DS sets of zones on real servers, and by whom: each story is one zone's.

Knot and BIND decide by themselves when a step is due; the early and the lied ones are told what is not so.
"""

from collections.abc import Callable
from dataclasses import dataclass

from analyzer.zones.cds import asked_but_absent
from schemas.messages import ZoneSweep
from tests.support.diary import Diary
from tests.support.onlooker import Onlooker
from tests.support.registry import Registry
from tests.support.signers import Page, Signers
from tests.support.signing_policies import BindZone, KnotZone

LONG_S = 200.0
AUTHORITATIVE, CACHE = VANTAGES = ("authoritative", "cache")
# BIND waits until no signature by the old ZSK can be left: what is between validity and refresh, a tenth at least.
SOON_SIGNED_AGAIN = {"validity": "PT18M", "refresh": "PT16M11S"}
NO_PUSH = {"ds-push": ""}
ZONES: dict[str, KnotZone | BindZone] = {
    "knot-zsk.quay.": KnotZone(),
    "knot-ksk.quay.": KnotZone(),
    "knot-algorithm.quay.": KnotZone({"algorithm": "rsasha256"}),
    "bind-zsk.quay.": BindZone(SOON_SIGNED_AGAIN),
    "bind-ksk.quay.": BindZone(),
    "bind-algorithm.quay.": BindZone(),
    "bind-cds.quay.": BindZone(),
    "early-zsk.quay.": KnotZone({"zone-max-ttl": "1s"}, ttl_s=120),
    "early-ds.quay.": KnotZone({**NO_PUSH, "dnskey-ttl": "30s"}),
    "early-ksk.quay.": BindZone({"parent_ds_ttl": "1"}, ds_ttl_s=60),
    "lied-ksk.quay.": BindZone(),
    "early-algorithm.quay.": BindZone({"dnskey_ttl": "20"}),
    "ahead-algorithm.quay.": KnotZone(NO_PUSH),
    "delete-cds.quay.": KnotZone(NO_PUSH),
}
NEXT_ALGORITHM = {"rsasha256": "ecdsap256sha256", "ecdsap256sha256": "ed25519"}
FOLLOWED = {"bind-ksk.quay.", "bind-algorithm.quay."}
AHEAD = f"4711 15 2 {'ab' * 32}"
"""The DS of a key that is nowhere yet, of another algorithm."""


@dataclass
class Harbour:
    """The servers, who follows their CDS, who notes what they do, and the anchorwatch that watches them."""

    signers: Signers
    diary: Diary
    registry: Registry
    watch: Onlooker

    def roll(self, zone: str, role: str) -> int:
        """Have a key rolled, and return its tag."""
        page = self.diary.now(zone)
        (old,) = page.ds if role == "ksk" else page.signs
        self.signers.roll(zone, role)
        return old

    def until(self, zone: str, holds: Callable[[Page], bool], claim: str) -> Page:
        """Wait until what the servers say of a zone holds."""
        return self.diary.until(zone, holds, claim, within_s=LONG_S)

    def until_gone(self, zone: str, *tags: int) -> None:
        """Wait until no server shows these keys in any way."""

        def is_gone(page: Page) -> bool:
            return not set(tags) & (page.keys | page.ds | page.signs)

        self.until(zone, is_gone, f"keys {tags} and their DS are withdrawn")

    def until_complete(self, zone: str) -> None:
        """Wait until each vantage sees the end of a rollover."""
        for vantage in VANTAGES:

            def look(vantage: str = vantage) -> bool:
                drifts = self.watch.drifts(zone, vantage)
                return bool(drifts) and "the rollover is complete" in drifts[-1][1].detail

            self.watch.until(zone, look, f"{vantage} sees the rollover of {zone} end", within_s=LONG_S)

    def until_found(self, zone: str, code: str) -> None:
        """Wait until anchorwatch has confirmed a finding of a zone."""
        self.watch.until_found(zone, code, within_s=LONG_S)

    def until_verdict(self, zone: str, vantage: str, verdict: str) -> None:
        """Wait until the zone's name has a verdict through a vantage."""

        def look() -> bool:
            return self.watch.verdicts(zone, vantage)[-1] == verdict

        self.watch.until(zone, look, f"{zone} is {verdict} through {vantage}", within_s=LONG_S)


# what is done to the zones, all at one time


def zsk(harbour: Harbour, zone: str) -> None:
    """Have the signer roll its ZSK."""
    harbour.until_gone(zone, harbour.roll(zone, "zsk"))


def ksk(harbour: Harbour, zone: str) -> None:
    """Have the signer roll its KSK, and the parent follow."""
    harbour.until_gone(zone, harbour.roll(zone, "ksk"))


def algorithm(harbour: Harbour, zone: str) -> None:
    """Have the signer roll all keys to another algorithm, and the parent follow."""
    old = harbour.diary.now(zone).keys
    harbour.signers.roll_algorithm(zone, NEXT_ALGORITHM[harbour.signers.zones[zone].settings()["algorithm"]])
    harbour.until_gone(zone, *old)


def ksk_by_a_slow_registry(harbour: Harbour, zone: str) -> None:
    """The parent follows only once a sweep has shown that the zone asks for another DS."""
    old = harbour.roll(zone, "ksk")

    def is_pending() -> bool:
        last = harbour.watch.sweeps(zone)[-1:]
        return any(map(asked_for, last))

    harbour.watch.until(zone, is_pending, f"{zone} is seen to ask for another DS", within_s=LONG_S)
    harbour.registry.zones.add(zone)
    harbour.until_gone(zone, old)
    harbour.watch.until(zone, lambda: not is_pending(), f"{zone} is seen to ask for no more", within_s=LONG_S)


def asked_for(sweep: ZoneSweep) -> set[str]:
    """Return the tags of the DS records that servers of a zone ask for and its parent lacks."""
    ds = {one for sight in sweep.servers if sight.of_parent for one in sight.ds}
    own = [sight for sight in sweep.servers if not sight.of_parent]
    return {tag for sight in own for tag, *_ in asked_but_absent(sweep.zone, sight, ds)}


def zsk_with_a_wrong_max_ttl(harbour: Harbour, zone: str) -> None:
    """Knot is told that no data live longer than a second; caches have them for two minutes."""
    assert harbour.signers.cached_ttl_s(zone) > 40
    harbour.until_gone(zone, harbour.roll(zone, "zsk"))
    harbour.until_found(zone, "rollover_unsafe")
    harbour.until_verdict(zone, CACHE, "bogus")


def ds_before_caches_know_the_key(harbour: Harbour, zone: str) -> None:
    """The registrar replaces the DS as soon as the new key is published."""
    old = harbour.roll(zone, "ksk")
    harbour.until(zone, lambda page: len(page.keys) == 3, "the new KSK is published")
    entries = harbour.signers.entry_ds(zone)
    harbour.signers.set_ds(zone, *(text for tag, text in entries.items() if tag != old))
    harbour.until_found(zone, "rollover_unsafe")


def ksk_withdrawn_with_its_ds_cached(harbour: Harbour, zone: str) -> None:
    """BIND is told that the parent's DS lives for a second; it lives for a minute."""
    harbour.registry.zones.add(zone)
    harbour.until_gone(zone, harbour.roll(zone, "ksk"))
    harbour.until_found(zone, "rollover_unsafe")


def ksk_withdrawn_with_its_ds_at_the_parent(harbour: Harbour, zone: str) -> None:
    """BIND is told that the parent has changed the DS; it has not, until all is broken."""
    old = harbour.roll(zone, "ksk")
    page = harbour.until(zone, lambda page: bool(page.cds) and old not in page.cds, "the zone asks for the new DS")
    (new,) = page.cds
    harbour.signers.tell_bind(zone, new, "published")
    harbour.signers.tell_bind(zone, old, "withdrawn")
    harbour.until(zone, lambda page: old not in page.keys, "the old KSK is withdrawn")
    harbour.until_found(zone, "dnskey_missing")
    harbour.signers.set_ds(zone, harbour.signers.entry_ds(zone)[new])
    for vantage in VANTAGES:
        harbour.until_verdict(zone, vantage, "secure")


def ds_of_the_new_algorithm_before_caches_know_its_key(harbour: Harbour, zone: str) -> None:
    """The registrar replaces the DS as soon as keys of the new algorithm are published."""
    harbour.signers.roll_algorithm(zone, "ed25519")
    harbour.until(zone, lambda page: len(page.keys) == 4, "keys of both algorithms are published")
    entries = harbour.signers.entry_ds(zone)
    harbour.signers.set_ds(zone, *(text for text in entries.values() if text.split()[1] == "15"))
    harbour.until_found(zone, "rollover_unsafe")


def ds_of_an_algorithm_that_signs_nothing(harbour: Harbour, zone: str) -> None:
    """The registrar adds the DS of the new algorithm before there is a signature, and then takes the old one away."""
    (old,) = harbour.signers.ds_texts(zone)
    harbour.signers.set_ds(zone, old, AHEAD)
    harbour.until_found(zone, "algorithm_signing_incomplete")
    assert harbour.watch.verdicts(zone, AUTHORITATIVE) == ["secure"]
    harbour.signers.set_ds(zone, AHEAD)
    harbour.until_verdict(zone, AUTHORITATIVE, "bogus")


def cds_that_asks_for_no_ds(harbour: Harbour, zone: str) -> None:
    """Knot asks for the removal of the DS; the parent follows once that is known."""
    harbour.signers.set_policy(zone, cds_cdnskey_publish="delete-dnssec")
    harbour.until_found(zone, "cds_delete_requested")
    assert {one for vantage in VANTAGES for one in harbour.watch.verdicts(zone, vantage)} == {"secure"}
    harbour.registry.zones.add(zone)
    harbour.until_found(zone, "secure_to_insecure")


STORIES: dict[str, Callable[[Harbour, str], None]] = {
    "knot-zsk.quay.": zsk,
    "knot-ksk.quay.": ksk,
    "knot-algorithm.quay.": algorithm,
    "bind-zsk.quay.": zsk,
    "bind-ksk.quay.": ksk,
    "bind-algorithm.quay.": algorithm,
    "bind-cds.quay.": ksk_by_a_slow_registry,
    "early-zsk.quay.": zsk_with_a_wrong_max_ttl,
    "early-ds.quay.": ds_before_caches_know_the_key,
    "early-ksk.quay.": ksk_withdrawn_with_its_ds_cached,
    "lied-ksk.quay.": ksk_withdrawn_with_its_ds_at_the_parent,
    "early-algorithm.quay.": ds_of_the_new_algorithm_before_caches_know_its_key,
    "ahead-algorithm.quay.": ds_of_an_algorithm_that_signs_nothing,
    "delete-cds.quay.": cds_that_asks_for_no_ds,
}
