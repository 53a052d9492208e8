"""Whether a reply answers the question that was asked.

Source: RFC 5452 §9 (matching), RFC 7873 §5.3 (cookies), draft-vixie-dnsext-dns0x20 (letter case).
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from collector.dnssec import names
from collector.dnssec.message import NOERROR, QR, FormError, Response, make_query, read_response
from collector.dnssec.names import Name

HEADER_BYTES = 12
CLIENT_COOKIE_BYTES = 8
KINDS = ("id", "question", "case", "folded", "cookie", "malformed")
# A broken resolver sends malformed replies by itself, and one that was replaced may no longer keep the letter case
# (folded: all lower case); the others are what a forger gets wrong who has to guess.
GUESSED = frozenset({"id", "question", "case", "cookie"})


class Mismatch(FormError):
    """A reply that does not answer our question; ``kind`` is one of KINDS."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Query(msgspec.Struct, frozen=True, gc=False):
    """A question as sent: ``question`` is the name's octets in the letter case that was sent, ``cookie`` our client
    cookie (empty: none was sent)."""

    wire: bytes
    id: int
    name: Name
    rdtype: int
    question: bytes
    cookie: bytes = b""


@dataclass(frozen=True, slots=True)
class ErrorHeader:
    """An error without the question, mostly a header and nothing else: some resolvers refuse in this way."""

    rcode: int


def write_query(
    name: Name,
    rdtype: int,
    random_bits: Callable[[int], int],
    *,
    checking_disabled: bool,
    edns: bool = True,
    mixed_case: bool = False,
    client_cookie: bytes = b"",
    server_cookie: bytes = b"",
    recursive: bool = True,
) -> Query:
    """Return a query with a random id and, with ``mixed_case``, with random letter case.

    ``random_bits`` returns so many bits that nobody can guess.
    """
    message_id = random_bits(16)
    question = names.to_wire(name)
    if mixed_case:
        # Without one capital nothing could be learnt from what comes back.
        mixed = mix_case(question, random_bits(len(question)))
        question = mixed if mixed != question else question.upper()
    cookie = client_cookie if edns else b""
    wire = make_query(
        message_id,
        name,
        rdtype,
        checking_disabled=checking_disabled,
        edns=edns,
        cookie=cookie + server_cookie if cookie else b"",
        question=question,
        recursive=recursive,
    )
    return Query(wire, message_id, name, rdtype, question, cookie)


def mix_case(name: bytes, bits: int) -> bytes:
    """Return a name's octets with the letters upper-cased whose bit is set; lengths are below the letters."""
    return bytes(
        octet - 0x20 if 0x61 <= octet <= 0x7A and bits >> position & 1 else octet for position, octet in enumerate(name)
    )


def match_reply(
    query: Query, wire: bytes, *, case_kept: bool = False, cookie_kept: bool = False
) -> Response | ErrorHeader:
    """Return the response to this very query. ``case_kept``, ``cookie_kept``: the resolver is known to return both.

    Raises:
        Mismatch: it is none.
    """
    if len(wire) < HEADER_BYTES:
        raise Mismatch("malformed", "shorter than a header")
    if int.from_bytes(wire[:2], "big") != query.id:
        raise Mismatch("id", "another id")
    flags = int.from_bytes(wire[2:4], "big")
    if flags & QR and flags & 15 != NOERROR and not any(wire[4:10]):
        return ErrorHeader(flags & 15)
    try:
        response = read_response(wire)
    except FormError as error:
        raise Mismatch("malformed", str(error)) from error
    if response.qname != query.name or response.qtype != query.rdtype:
        raise Mismatch("question", f"an answer to another question: {names.to_text(response.qname)}")
    if case_kept and not keeps_case(query, response):
        is_folded = _question_of(query, wire) == query.question.lower()
        raise Mismatch("folded" if is_folded else "case", "the question comes back in another letter case")
    if query.cookie:
        returned = response.cookie[:CLIENT_COOKIE_BYTES]
        # "the client MUST discard the response" where its cookie is another: RFC 7873 §5.3
        if (returned or cookie_kept) and returned != query.cookie:
            raise Mismatch("cookie", "another client cookie" if returned else "no client cookie")
    return response


def keeps_case(query: Query, response: Response) -> bool:
    """Return whether the question came back in the letter case in which it was sent."""
    return _question_of(query, response.wire) == query.question


def _question_of(query: Query, wire: bytes) -> bytes:
    return wire[HEADER_BYTES : HEADER_BYTES + len(query.question)]


def has_mixed_case(query: Query) -> bool:
    """Return whether the case of the question says something: it has capitals."""
    return query.question != query.question.lower()
