"""What a DoH request and its response are, whatever the version of HTTP. Pure.

Source: RFC 8484 §4.1 (request), §4.2 (response), §6 (media type).
"""

from collections.abc import Iterable

MEDIA_TYPE = "application/dns-message"
MOST_BODY_BYTES = 65_535


class HttpReply:
    """A response while it comes in."""

    def __init__(self) -> None:
        self._status = ""
        self._media_type = ""
        self._parts: list[bytes] = []
        self.size = 0

    def head(self, status: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take status and header fields."""
        self._status = status
        found = {name.lower(): value for name, value in headers}
        self._media_type = found.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()

    def add(self, data: bytes) -> None:
        """Take a part of the body."""
        self.size += len(data)
        self._parts.append(data)

    @property
    def is_too_large(self) -> bool:
        """Return whether it is larger than any DNS message."""
        return self.size > MOST_BODY_BYTES

    def outcome(self) -> bytes | OSError:
        """Return the DNS message, or why there is none."""
        if self._status != "200":
            return OSError(f"HTTP status {self._status or 'missing'}")
        if self._media_type != MEDIA_TYPE:
            said = self._media_type[:80] if self._media_type.isprintable() else "something else"
            wanted = f"instead of {MEDIA_TYPE}: no DoH resolver answers at this URL"
            return OSError(f"HTTP content-type {said or 'missing'} {wanted}")
        return b"".join(self._parts)
