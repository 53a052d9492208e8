"""The questions that the denial records of a zone answer, and the form of the answers.

One question at a time: the name has no such type, the name does not exist, no closer name exists than the wildcard
that was expanded, there is (or is not) a zone cut. The records must already be verified as the zone's own; the proofs
trust nothing else. Every proof returns a ``Proof`` that says what holds, never a bare boolean.

Source: RFC 4035 §5.4, RFC 5155 §8, RFC 6840 §4.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from collector.dnssec import records
from collector.dnssec.names import Name


class ProofOutcome(Enum):
    """The result of a proof."""

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


class Gap(Enum):
    """The reason why a proof fails: no record says what is needed, or a record says the opposite."""

    NOT_DENIED = auto()
    NEXT_CLOSER_NOT_DENIED = auto()
    WILDCARD_NOT_DENIED = auto()
    WILDCARD_NOT_MATCHED = auto()
    ENCLOSER_DENIED = auto()
    ENCLOSER_NOT_MATCHED = auto()
    ENCLOSER_UNFIT = auto()
    """The closest encloser is a delegation or has a DNAME, so it says nothing of names below."""
    TYPE_PRESENT = auto()
    TYPES_PRESENT = auto()
    DS_PRESENT = auto()
    CHILD_SIDE = auto()
    PARENT_SIDE = auto()


@dataclass(frozen=True, slots=True)
class Proof:
    """An outcome; of one that failed the gap, and the name that it is about where it is not the name asked for.

    ``types`` are all that the name has, or would have from its wildcard, where the proof says so.
    """

    outcome: ProofOutcome
    gap: Gap | None = None
    name: Name | None = None
    types: frozenset[int] | None = field(default=None, compare=False)


PROVEN = Proof(ProofOutcome.PROVEN)
EMPTY = Proof(ProofOutcome.PROVEN, types=frozenset())
TOO_COSTLY = Proof(ProofOutcome.TOO_COSTLY)


def failed(gap: Gap, name: Name | None = None) -> Proof:
    """Return the proof that failed, and why."""
    return Proof(ProofOutcome.FAILED, gap, name)


class Denial(Protocol):
    """The proofs that a zone's NSEC or NSEC3 records can give; ``nsec`` and ``nsec3`` implement them."""

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


def check_type_bitmap(types: frozenset[int], rdtype: int, *, is_root: bool) -> Proof:
    """Check that a bitmap of the name itself denies ``rdtype``."""
    if rdtype in types or records.CNAME in types:
        return failed(Gap.TYPE_PRESENT)
    if rdtype == records.ANY and types - {records.RRSIG, records.NSEC}:
        return failed(Gap.TYPES_PRESENT)
    if rdtype == records.DS:
        # "the NSEC RR of the child's apex" does not speak for the DS: RFC 4035 §5.2, RFC 6840 §4.4
        if records.SOA in types and not is_root:
            return failed(Gap.CHILD_SIDE)
    elif is_parent_side(types):
        return failed(Gap.PARENT_SIDE)
    return Proof(ProofOutcome.PROVEN, types=types)


def check_cut_bitmap(types: frozenset[int]) -> Proof:
    """Return whether the bitmap of a name proves a zone cut there, or none."""
    if records.DS in types:
        return failed(Gap.DS_PRESENT)
    if records.SOA in types:
        return failed(Gap.CHILD_SIDE)
    # "the validator MUST check for the presence of the NS bit ... and absence of the SOA bit": RFC 6840 §4.4
    return Proof(ProofOutcome.CUT if records.NS in types else ProofOutcome.NO_CUT)
