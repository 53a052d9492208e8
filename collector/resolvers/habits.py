"""What one resolver is known to do with our questions: whether their letter case and our cookies come back.

What it did once it must go on doing over UDP, where anybody may answer; over TCP it may change its mind.

Source: RFC 7873 §5.3, RFC 9018 §3 (cookies); draft-vixie-dnsext-dns0x20 (letter case).
"""

from collections.abc import Callable

from collector.dnssec.message import Response
from collector.dnssec.names import Name
from collector.resolvers.matching import CLIENT_COOKIE_BYTES, Query, has_mixed_case, keeps_case, mix_case, write_query

LONGEST_SERVER_COOKIE_BYTES = 32


class Habits:
    """Learnt from the replies that match; ``case_kept`` is None until it is known.

    ``is_guessed_at``: replies came that matched no question.
    """

    def __init__(self, random_bits: Callable[[int], int], *, protects: bool) -> None:
        """``protects``: use letter case and cookies, which help where others could answer: over UDP.

        ``random_bits`` returns so many bits that nobody can guess.
        """
        self.case_kept: bool | None = None if protects else False
        self.sends_cookies = protects
        self.is_guessed_at = False
        self._random_bits = random_bits
        self._client_cookie = random_bits(8 * CLIENT_COOKIE_BYTES).to_bytes(CLIENT_COOKIE_BYTES, "big")
        self._server_cookie = b""

    @property
    def cookie_kept(self) -> bool:
        """Return whether the resolver has sent a cookie of its own, so that its replies must have ours."""
        return bool(self._server_cookie)

    @property
    def client_cookie(self) -> bytes:
        """Return our cookie, empty where none is sent."""
        return self._client_cookie if self.sends_cookies else b""

    @property
    def server_cookie(self) -> bytes:
        """Return the cookie that the resolver has sent, empty without one."""
        return self._server_cookie if self.sends_cookies else b""

    @property
    def mixes_case(self) -> bool:
        """Return whether questions go out in random letter case: replies are guessed, and the resolver may keep it."""
        return self.is_guessed_at and self.case_kept is not False

    def in_case(self, octets: bytes) -> bytes:
        """Return a question's octets in the letter case to send; its type and class, the last four, stay."""
        if not self.mixes_case:
            return octets
        mixed = mix_case(octets[:-4], self._random_bits(len(octets)))
        return (mixed if mixed != octets[:-4] else mixed.upper()) + octets[-4:]

    def query_for(
        self, name: Name, rdtype: int, *, checking_disabled: bool, edns: bool, recursive: bool = True
    ) -> Query:
        """Return a new query that uses what the resolver keeps: cookies always, letter case once replies are guessed.

        What is asked as clients ask carries neither. Mixed case is not used before there is a reason, since some
        software compares names octet by octet (Unbound's ``use-caps-for-id`` is off for that reason, too).
        """
        guarded = checking_disabled
        return write_query(
            name,
            rdtype,
            self._random_bits,
            checking_disabled=checking_disabled,
            edns=edns,
            mixed_case=guarded and self.mixes_case,
            client_cookie=self.client_cookie if guarded else b"",
            server_cookie=self.server_cookie if guarded else b"",
            recursive=recursive,
        )

    def learn(self, query: Query, response: Response, *, stream: bool) -> None:
        """Take in a reply that matched; over a stream also that the resolver no longer keeps what it kept."""
        if has_mixed_case(query) and (self.case_kept is None or stream):
            self.case_kept = keeps_case(query, response)
        cookie = response.cookie[CLIENT_COOKIE_BYTES:]
        if query.cookie and 8 <= len(cookie) <= LONGEST_SERVER_COOKIE_BYTES:
            self._server_cookie = cookie
        elif query.cookie and stream and not response.cookie:
            self._server_cookie = b""

    def refuse_cookies(self) -> bool:
        """Return whether cookies may have been what the resolver can't read; then none are sent from now on."""
        suspected = self.sends_cookies and not self.cookie_kept
        if suspected:
            self.sends_cookies = False
        return suspected
