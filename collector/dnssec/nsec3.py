"""Proofs from NSEC3 records, as ``collector.dnssec.proof`` asks for them; names are compared by their hashes.

Source: RFC 5155 §8; RFC 6840 §4.1; RFC 9276 §3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.dnssec import crypto, names
from collector.dnssec.budget import Budget
from collector.dnssec.names import Name
from collector.dnssec.proof import (
    PROVEN,
    TOO_COSTLY,
    Gap,
    Proof,
    ProofOutcome,
    check_cut_bitmap,
    check_type_bitmap,
    failed,
    hides_descendants,
)
from collector.dnssec.records import Nsec3


class HashBudgetSpent(Exception):
    """The budget of NSEC3 hashes is spent; caught where a proof begins."""


@dataclass(frozen=True, slots=True)
class Encloser:
    """A closest encloser that is proven: it exists, and ``cover`` denies the next closer name."""

    name: Name
    next_closer: Name
    cover: Nsec3


class Nsec3Denial:
    """Proofs from NSEC3 records of one zone; each is hashed by its own salt and iteration count."""

    def __init__(
        self, zone: Name, chain: Sequence[Nsec3], budget: Budget, hashes: dict[tuple[Name, bytes, int], bytes]
    ) -> None:
        self._zone = zone
        self._chains: dict[tuple[bytes, int], dict[bytes, Nsec3]] = {}
        for nsec3 in chain:
            self._chains.setdefault((nsec3.salt, nsec3.iterations), {})[nsec3.owner_hash] = nsec3
        self._budget, self._hashes = budget, hashes

    def _hash(self, name: Name, salt: bytes, iterations: int) -> bytes:
        key = (name, salt, iterations)
        known = self._hashes.get(key)
        if known is None:
            if not self._budget.take_hash():
                raise HashBudgetSpent
            known = self._hashes[key] = crypto.nsec3_hash(name, salt, iterations)
        return known

    def _matching(self, name: Name) -> Nsec3 | None:
        for (salt, iterations), by_hash in self._chains.items():
            found = by_hash.get(self._hash(name, salt, iterations))
            if found is not None:
                return found
        return None

    def _covering(self, name: Name) -> Nsec3 | None:
        for (salt, iterations), by_hash in self._chains.items():
            hashed = self._hash(name, salt, iterations)
            for nsec3 in by_hash.values():
                if nsec3.owner_hash < nsec3.next_hash:
                    if nsec3.owner_hash < hashed < nsec3.next_hash:
                        return nsec3
                elif hashed > nsec3.owner_hash or hashed < nsec3.next_hash:
                    return nsec3
        return None

    def _closest_encloser(self, name: Name) -> Encloser | Proof:
        """Prove the closest encloser of a name that does not exist. Source: RFC 5155 §8.3."""
        for depth in range(len(name) - 1, len(self._zone) - 1, -1):
            candidate = name[:depth]
            matching = self._matching(candidate)
            if matching is None:
                continue
            # "the validator MUST check that the NSEC3 RR that has the closest encloser as the original owner name is
            # from the proper zone. The DNAME type bit must not be set and the NS type bit may only be set if the SOA
            # type bit is set."
            if hides_descendants(matching.types):
                return failed(Gap.ENCLOSER_UNFIT, candidate)
            cover = self._covering(name[: depth + 1])
            if cover is None:
                return failed(Gap.NEXT_CLOSER_NOT_DENIED, name[: depth + 1])
            return Encloser(candidate, name[: depth + 1], cover)
        return failed(Gap.ENCLOSER_NOT_MATCHED, name)

    def prove_nodata(self, name: Name, rdtype: int) -> Proof:
        """Prove NODATA. Source: RFC 5155 §8.5 to §8.7."""
        try:
            return self._prove_nodata(name, rdtype)
        except HashBudgetSpent:
            return TOO_COSTLY

    def _prove_nodata(self, name: Name, rdtype: int) -> Proof:
        matching = self._matching(name)
        if matching is not None:
            return check_type_bitmap(matching.types, rdtype, is_root=not name)
        encloser = self._closest_encloser(name)
        if isinstance(encloser, Proof):
            return encloser
        wildcard = self._matching(names.wildcard_of(encloser.name))
        if wildcard is not None:
            proof = check_type_bitmap(wildcard.types, rdtype, is_root=False)
            if proof.outcome is not ProofOutcome.PROVEN:
                return proof
            return Proof(ProofOutcome.OPT_OUT) if encloser.cover.opt_out else proof
        # "If there is an NSEC3 RR that covers the next closer name with the Opt-Out bit set": RFC 5155 §8.6, and by
        # erratum 3441 for other types below an unsigned delegation's empty non-terminals.
        if encloser.cover.opt_out:
            return Proof(ProofOutcome.OPT_OUT)
        return failed(Gap.WILDCARD_NOT_MATCHED, names.wildcard_of(encloser.name))

    def prove_nxdomain(self, name: Name) -> Proof:
        """Prove NXDOMAIN. Source: RFC 5155 §8.4."""
        try:
            encloser = self._closest_encloser(name)
            if isinstance(encloser, Proof):
                return encloser
            wildcard = names.wildcard_of(encloser.name)
            if self._covering(wildcard) is None:
                return failed(Gap.WILDCARD_NOT_DENIED, wildcard)
            return Proof(ProofOutcome.OPT_OUT) if encloser.cover.opt_out else PROVEN
        except HashBudgetSpent:
            return TOO_COSTLY

    def prove_no_closer_match(self, name: Name, encloser: Name) -> Proof:
        """Prove that the wildcard is the closest match. Source: RFC 5155 §8.8."""
        next_closer = name[: len(encloser) + 1]
        try:
            cover = self._covering(next_closer)
        except HashBudgetSpent:
            return TOO_COSTLY
        if cover is None:
            return failed(Gap.NEXT_CLOSER_NOT_DENIED, next_closer)
        return Proof(ProofOutcome.OPT_OUT) if cover.opt_out else PROVEN

    def prove_no_ds(self, name: Name) -> Proof:
        """Prove that there is no DS. Source: RFC 5155 §8.6, §8.9; RFC 6840 §4.4."""
        try:
            matching = self._matching(name)
            if matching is not None:
                return check_cut_bitmap(matching.types)
            encloser = self._closest_encloser(name)
        except HashBudgetSpent:
            return TOO_COSTLY
        if isinstance(encloser, Proof):
            return encloser
        return Proof(ProofOutcome.OPT_OUT if encloser.cover.opt_out else ProofOutcome.ABSENT)
