"""What a set of NSEC or NSEC3 records proves about one name and type.

One question at a time: the name has no such type, the name does not exist, no closer name exists than the wildcard
that was expanded, there is (or is not) a zone cut. The records handed in must already be verified as the zone's own;
the proofs trust nothing else. Every proof returns a ``Proof`` that says what holds, never a bare boolean.

Source: RFC 4035 §5.4, RFC 6840 §4 (NSEC); RFC 5155 §8 (NSEC3); RFC 9276 §3.2 (iterations).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from collector.dnssec import names, records
from collector.dnssec.names import Name
from collector.dnssec.records import Nsec


class ProofOutcome(Enum):
    """What the records prove."""

    PROVEN = auto()
    OPT_OUT = auto()
    """Proven but for a span that may hide unsigned delegations: the answer is insecure."""
    CUT = auto()
    """An insecure delegation lies here: NS present, DS and SOA absent."""
    NO_CUT = auto()
    """The name exists, or is an empty non-terminal, and is no zone cut."""
    ABSENT = auto()
    """The name does not exist, so neither it nor anything below is a cut."""
    FAILED = auto()
    TOO_COSTLY = auto()


@dataclass(frozen=True, slots=True)
class Proof:
    """An outcome, and for ``FAILED`` what is missing."""

    outcome: ProofOutcome
    detail: str = ""


PROVEN = Proof(ProofOutcome.PROVEN)
TOO_COSTLY = Proof(ProofOutcome.TOO_COSTLY, "the proof needs more NSEC3 hashes than the budget has")


def failed(detail: str) -> Proof:
    """Return the proof that failed, and why."""
    return Proof(ProofOutcome.FAILED, detail)


class Denial(Protocol):
    """The proofs that a zone's NSEC or NSEC3 records can give; implemented below and in ``collector.dnssec.nsec3``."""

    def prove_nodata(self, name: Name, rdtype: int) -> Proof:
        """Prove that ``name`` exists, or a wildcard covers it, without ``rdtype``: PROVEN or OPT_OUT."""
        ...

    def prove_nxdomain(self, name: Name) -> Proof:
        """Prove that neither ``name`` nor a wildcard that would match it exists: PROVEN or OPT_OUT."""
        ...

    def prove_no_closer_match(self, name: Name, encloser: Name) -> Proof:
        """Prove that an answer for ``name`` could only come from the wildcard below ``encloser``: PROVEN or OPT_OUT."""
        ...

    def prove_no_ds(self, name: Name) -> Proof:
        """Prove that ``name`` has no DS: CUT, NO_CUT, ABSENT or OPT_OUT."""
        ...


def is_parent_side(types: frozenset[int]) -> bool:
    """Return whether a type bitmap is the parent's side of a zone cut: NS without SOA."""
    return records.NS in types and records.SOA not in types


def hides_descendants(types: frozenset[int]) -> bool:
    """Return whether the record can't speak for names below its owner.

    "An 'ancestor delegation' NSEC RR ... MUST NOT be used to assume nonexistence of any RRs below that zone cut", nor
    one with the DNAME bit for "any subdomain of that NSEC/NSEC3 RR's (original) owner name". Source: RFC 6840 §4.1.
    """
    return is_parent_side(types) or records.DNAME in types


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
            return PROVEN
        covering = self._covering(name)
        if covering is None:
            return failed("no NSEC matches or covers the name")
        source = names.wildcard_of(self._closest_encloser(name, covering))
        if self._is_empty_non_terminal(source):
            return PROVEN
        wildcard = self._by_owner.get(source)
        if wildcard is None:
            return failed("the name is denied, but no NSEC matches its wildcard")
        return check_type_bitmap(wildcard.types, rdtype, is_root=False)

    def prove_nxdomain(self, name: Name) -> Proof:
        """Prove NXDOMAIN. Source: RFC 4035 §5.4, §3.1.3.2."""
        covering = self._covering(name)
        if covering is None:
            return failed("no NSEC covers the name")
        wildcard = names.wildcard_of(self._closest_encloser(name, covering))
        if self._covering(wildcard) is None:
            return failed("no NSEC denies the wildcard " + names.to_text(wildcard))
        return PROVEN

    def prove_no_closer_match(self, name: Name, encloser: Name) -> Proof:
        """Prove that the wildcard is the closest match. Source: RFC 4035 §5.3.4, §3.1.3.3."""
        next_closer = name[: len(encloser) + 1]
        denying = [nsec for nsec in self._by_owner.values() if self._denies(nsec, next_closer)]
        if not denying:
            return failed("no NSEC denies the next closer name " + names.to_text(next_closer))
        if all(len(self._closest_encloser(next_closer, nsec)) < len(encloser) for nsec in denying):
            return failed("the NSEC denies the closest encloser " + names.to_text(encloser) + " too")
        return PROVEN

    def prove_no_ds(self, name: Name) -> Proof:
        """Prove that there is no DS. Source: RFC 4035 §5.2, RFC 6840 §4.4."""
        nsec = self._by_owner.get(name)
        if nsec is not None:
            return check_cut_bitmap(nsec.types)
        if self._is_empty_non_terminal(name):
            return Proof(ProofOutcome.NO_CUT)
        if self._covering(name) is None:
            return failed("no NSEC proves the absence of a DS")
        # A wildcard never makes a zone cut (RFC 4592 §4.2), so its denial is not needed here.
        return Proof(ProofOutcome.ABSENT)


def check_type_bitmap(types: frozenset[int], rdtype: int, *, is_root: bool) -> Proof:
    """Check that a bitmap of the name itself denies ``rdtype``."""
    if rdtype in types or records.CNAME in types:
        return failed("the type bitmap has the type, or an alias")
    if rdtype == records.ANY and types - {records.RRSIG, records.NSEC}:
        return failed("the type bitmap has types, and any was asked for")
    if rdtype == records.DS:
        # "the NSEC RR of the child's apex" does not speak for the DS: RFC 4035 §5.2, RFC 6840 §4.4
        if records.SOA in types and not is_root:
            return failed("the proof is of the child's side of the cut")
    elif is_parent_side(types):
        return failed("the proof is of the parent's side of a zone cut")
    return PROVEN


def check_cut_bitmap(types: frozenset[int]) -> Proof:
    """Say what a bitmap that matches the name tells of a zone cut there."""
    if records.DS in types:
        return failed("the type bitmap has a DS")
    if records.SOA in types:
        return failed("the proof is of the child's side of the cut")
    # "the validator MUST check for the presence of the NS bit ... and absence of the SOA bit": RFC 6840 §4.4
    return Proof(ProofOutcome.CUT if records.NS in types else ProofOutcome.NO_CUT)
