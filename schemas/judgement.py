"""The verdict on one name and type, with everything that it rests on.

Source: RFC 4033 §5, RFC 4035 §4.3.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

Octet = Annotated[int, msgspec.Meta(ge=0, le=255)]
Number16 = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Number32 = Annotated[int, msgspec.Meta(ge=0, le=4_294_967_295)]
"""Numbers as wide as their fields in DNS messages: a larger one is no message of ours."""


class Verdict(StrEnum):
    """The four outcomes of validation; never merged, never a boolean."""

    SECURE = "secure"
    INSECURE = "insecure"
    BOGUS = "bogus"
    INDETERMINATE = "indeterminate"

    @property
    def weakness(self) -> int:
        """Return 0 for secure up to 3 for bogus: a chain is worth its weakest link."""
        return _WEAKNESS[self]


_WEAKNESS = {Verdict.SECURE: 0, Verdict.INSECURE: 1, Verdict.INDETERMINATE: 2, Verdict.BOGUS: 3}


VALIDATED = (Verdict.SECURE, Verdict.INSECURE)
"""The verdicts of a chain that was followed to its end: they may serve as a baseline."""


class Reason(msgspec.Struct, frozen=True):
    """A code of the catalogue, the zone it hangs on, and the particulars in a sentence.

    ``rrset`` names the RRset at fault (``name TYPE``), empty where the whole zone is. ``ede`` is the extended DNS error
    code that says the same (RFC 8914), None where there is none. ``lag_s`` is for how long caches may show it though
    nothing is wrong.
    """

    code: str
    zone: str
    detail: str
    ede: Number16 | None = None
    rrset: str = ""
    lag_s: Number32 = 0


class ZoneKey(msgspec.Struct, frozen=True):
    """One DNSKEY; ``bits`` is the modulus length for RSA, else None; ``digest`` identifies the key for ever."""

    tag: Number16
    algorithm: Octet
    flags: Number16
    bits: Number32 | None = None
    digest: str = ""


class ChainLink(msgspec.Struct, frozen=True):
    """One zone on the way from the anchor down.

    ``ds`` are the parent's records in presentation format, sorted; ``signed_by`` the tags of the keys whose
    signatures on the key set hold; ``inception_at`` and ``expires_at`` bound the
    signature on the key set that this link rests on. ``ttl_s`` is the larger TTL of the key set and the DS set.
    """

    zone: str
    verdict: Verdict
    ds: tuple[str, ...] = ()
    keys: tuple[ZoneKey, ...] = ()
    signed_by: tuple[Number16, ...] = ()
    inception_at: datetime | None = None
    expires_at: datetime | None = None
    ttl_s: Number32 = 0


class AliasLink(msgspec.Struct, frozen=True):
    """One RRset on the way from the question to the data: an alias, the data itself or its denial.

    ``signed_by`` is the (tag, algorithm) of the key that verified it, empty if none did.
    """

    name: str
    type: str
    zone: str
    verdict: Verdict
    target: str = ""
    signed_by: tuple[Number16, ...] = ()


class ResolverClaim(msgspec.Struct, frozen=True, gc=False):
    """What the vantage's resolver itself tells its clients (CD=0).

    ``answers`` are sorted records without TTL; ``ede`` are (code, text) pairs as sent. ``proven``: its own signatures
    or proofs hold, or a second look shows the same data. ``translated``: its IPv6 addresses are made from the proven
    IPv4 ones, as DNS64 does.
    """

    ad: bool
    rcode: str
    answers: tuple[str, ...] = ()
    ede: tuple[tuple[Number16, str], ...] = ()
    proven: bool = False
    translated: bool = False


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One validated answer.

    ``reasons`` explain the verdict, the decisive one first; ``remarks`` are further facts that do not change it.
    ``answers`` are sorted records in presentation format without TTL. ``chain`` runs root first, ``links`` from the
    question to the data. ``expires_at`` is the earliest expiration that the verdict rests on, ``inception_at`` the
    inception of that same signature. ``lenient_verdict`` is what a validator that forgives clock skew would say,
    ``other_verdict`` what the other algorithm profile would; None where they can't differ. ``trust_anchor`` and
    ``evidence`` are hex SHA-256. ``resolver`` is what the resolver says to a client with EDNS and DO=1, ``plain`` what
    it says to one without EDNS; None where it was not asked or did not answer. ``denies`` are further types, of those
    that endpoints have, which a secure denial says do not exist at the last name of ``links``.
    """

    name: str
    type: str
    vantage: str
    verdict: Verdict
    rcode: str
    reasons: tuple[Reason, ...] = ()
    remarks: tuple[Reason, ...] = ()
    cause_zone: str = ""
    answers: tuple[str, ...] = ()
    chain: tuple[ChainLink, ...] = ()
    links: tuple[AliasLink, ...] = ()
    inception_at: datetime | None = None
    expires_at: datetime | None = None
    ttl_s: Number32 = 0
    validated_at: datetime
    trust_anchor: str = ""
    evidence: str = ""
    lenient_verdict: Verdict | None = None
    other_verdict: Verdict | None = None
    resolver: ResolverClaim | None = None
    plain: ResolverClaim | None = None
    denies: tuple[str, ...] = ()


ANSWERED = ("NOERROR", "NXDOMAIN")
"""The rcodes of an answer; others say that there is none."""


def data_of(answers: Iterable[str], rdtype: str) -> set[str]:
    """Return the data of one type among records in presentation format, aliases left out."""
    found = (answer.split(" ", 2) for answer in answers)
    return {data for _owner, kind, data in found if kind == rdtype}
