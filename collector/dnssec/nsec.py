"""Proofs from NSEC records, as ``collector.dnssec.proof`` asks for them.

Source: RFC 4035 §5.4, RFC 6840 §4.
"""

from collections.abc import Sequence

from collector.dnssec import names
from collector.dnssec.names import Name
from collector.dnssec.proof import (
    EMPTY,
    PROVEN,
    Gap,
    Proof,
    ProofOutcome,
    check_cut_bitmap,
    check_type_bitmap,
    failed,
    hides_descendants,
)
from collector.dnssec.records import Nsec


class NsecDenial:
    """Proofs from NSEC records. Source: RFC 4035 §5.4."""

    def __init__(self, zone: Name, chain: Sequence[Nsec]) -> None:
        self._zone = zone
        self._by_owner = {nsec.owner: nsec for nsec in chain}

    def _covering(self, name: Name) -> Nsec | None:
        """Return the NSEC in whose span ``name`` does not exist, nor exists as an empty non-terminal."""
        return next((nsec for nsec in self._by_owner.values() if self._denies(nsec, name)), None)

    def _denies(self, nsec: Nsec, name: Name) -> bool:
        if not self._spans(nsec, name) or names.is_at_or_below(nsec.next_name, name):
            return False
        return not (names.is_at_or_below(name, nsec.owner) and hides_descendants(nsec.types))

    def _spans(self, nsec: Nsec, name: Name) -> bool:
        if not names.is_at_or_below(name, self._zone) or not names.is_at_or_below(nsec.next_name, self._zone):
            return False
        if nsec.owner < nsec.next_name:
            return nsec.owner < name < nsec.next_name
        # "The value of the Next Domain Name field in the last NSEC record in the zone is the name of the zone apex":
        # RFC 4034 §4.1.1
        return nsec.next_name == self._zone and nsec.owner < name

    def _is_empty_non_terminal(self, name: Name) -> bool:
        return any(
            self._spans(nsec, name)
            and names.is_at_or_below(nsec.next_name, name)
            and not (names.is_at_or_below(name, nsec.owner) and hides_descendants(nsec.types))
            for nsec in self._by_owner.values()
        )

    def _closest_encloser(self, name: Name, covering: Nsec) -> Name:
        """Return the deepest existing ancestor of a name that ``covering`` denies."""
        left = names.common_ancestor(name, covering.owner)
        right = names.common_ancestor(name, covering.next_name)
        return max(left, right, key=len)

    def prove_nodata(self, name: Name, rdtype: int) -> Proof:
        """Prove NODATA. Source: RFC 4035 §5.4, §3.1.3.1, §3.1.3.4."""
        nsec = self._by_owner.get(name)
        if nsec is not None:
            return check_type_bitmap(nsec.types, rdtype, is_root=not name)
        if self._is_empty_non_terminal(name):
            return EMPTY
        covering = self._covering(name)
        if covering is None:
            return failed(Gap.NOT_DENIED, name)
        source = names.wildcard_of(self._closest_encloser(name, covering))
        if self._is_empty_non_terminal(source):
            return EMPTY
        wildcard = self._by_owner.get(source)
        if wildcard is None:
            return failed(Gap.WILDCARD_NOT_MATCHED, source)
        return check_type_bitmap(wildcard.types, rdtype, is_root=False)

    def prove_nxdomain(self, name: Name) -> Proof:
        """Prove NXDOMAIN. Source: RFC 4035 §5.4, §3.1.3.2."""
        covering = self._covering(name)
        if covering is None:
            return failed(Gap.NOT_DENIED, name)
        wildcard = names.wildcard_of(self._closest_encloser(name, covering))
        if self._covering(wildcard) is None:
            return failed(Gap.WILDCARD_NOT_DENIED, wildcard)
        return PROVEN

    def prove_no_closer_match(self, name: Name, encloser: Name) -> Proof:
        """Prove that the wildcard is the closest match. Source: RFC 4035 §5.3.4, §3.1.3.3."""
        next_closer = name[: len(encloser) + 1]
        denying = [nsec for nsec in self._by_owner.values() if self._denies(nsec, next_closer)]
        if not denying:
            return failed(Gap.NEXT_CLOSER_NOT_DENIED, next_closer)
        if all(len(self._closest_encloser(next_closer, nsec)) < len(encloser) for nsec in denying):
            return failed(Gap.ENCLOSER_DENIED, encloser)
        return PROVEN

    def prove_no_ds(self, name: Name) -> Proof:
        """Prove that there is no DS. Source: RFC 4035 §5.2, RFC 6840 §4.4."""
        nsec = self._by_owner.get(name)
        if nsec is not None:
            return check_cut_bitmap(nsec.types)
        if self._is_empty_non_terminal(name):
            return Proof(ProofOutcome.NO_CUT)
        if self._covering(name) is None:
            return failed(Gap.NOT_DENIED, name)
        # A wildcard never makes a zone cut (RFC 4592 §4.2), so its denial is not needed here.
        return Proof(ProofOutcome.ABSENT)
