"""JSON answers are sent once: an unchanged one is 304, and what is long is compressed for who asks for that.

Compressed is JSON of the API only, and in it is no secret of ours: no token, no session, nothing that a form sends
along. So there is nothing to guess by the length of an answer (BREACH) but other rows of the inventory, by somebody who
makes DNS answers, has them polled and sees the length of each answer on its way: a name of random length in each
header hides the single octets that such a guess would show. Pages are never compressed.
"""

import hashlib
import re
import secrets
import struct
import zlib
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anchorwatch.web.threads import Threads
from schemas.faults import Transient

API = "/api/v1/"
SHORTEST_BYTES = 1_024
LONGEST_BYTES = 64 << 20
LEVEL = 1  # a tenth of the length for a hundredth of a second a megabyte
AT_ONCE = 2
MOST_PADDING = 64
_WEIGHT_0 = re.compile(r"q\s*=\s*0(\.0*)?")


class Compact:
    """Adds ETag and Content-Encoding; two answers at a time are compressed, others go as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._threads = Threads("compression", most=AT_ONCE)
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(API) or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        begun: list[Message] = []

        async def compacting(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_json(message):
                begun.append(message)
            elif begun and not message.get("more_body") and "body" in message:
                await self._send(begun.pop(), message, asked, send)
            else:
                await send(message)

        await self._app(scope, receive, compacting)

    async def _send(self, start: Message, last: Message, asked: Headers, send: Send) -> None:
        body: bytes = last["body"]
        headers = MutableHeaders(raw=start["headers"])
        # Weak: the same rows have it compressed and not. Source: RFC 9110 §8.8.1, §8.8.3.
        tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers["etag"] = tag
        headers.add_vary_header("accept-encoding")
        if is_known(asked.getlist("if-none-match"), tag):
            del headers["content-length"]
            await send({**start, "status": 304, "headers": headers.raw})
            await send({"type": "http.response.body", "body": b""})
            return
        if SHORTEST_BYTES <= len(body) <= LONGEST_BYTES and takes_gzip(asked.getlist("accept-encoding")):
            small = await self._compress(body)
            if small is not None:
                body = small
                headers["content-encoding"] = "gzip"
                headers["content-length"] = str(len(body))
        await send({**start, "headers": headers.raw})
        await send({**last, "body": body})

    async def _compress(self, body: bytes) -> bytes | None:
        if self._running >= AT_ONCE:
            return None
        self._running += 1
        try:
            return await self._threads.ask(compress, body, secrets.randbelow(MOST_PADDING))
        except Transient:
            return None
        finally:
            self._running -= 1


def _is_json(start: Message) -> bool:
    return start["status"] == 200 and Headers(raw=start["headers"]).get("content-type") == "application/json"


def is_known(fields: Sequence[str], tag: str) -> bool:
    """Return whether If-None-Match names the tag; weak comparison. Source: RFC 9110 §13.1.2, §8.8.3.2."""
    tags = [one.strip() for field in fields for one in field.split(",")]
    return "*" in tags or tag.removeprefix("W/") in {one.removeprefix("W/") for one in tags}


def takes_gzip(fields: Sequence[str]) -> bool:
    """Return whether Accept-Encoding takes gzip. Source: RFC 9110 §12.5.3."""
    weights: dict[str, bool] = {}
    for one in ",".join(fields).split(","):
        coding, *parameters = (word.strip().lower() for word in one.split(";"))
        is_refused = any(_WEIGHT_0.fullmatch(word) for word in parameters)
        weights["gzip" if coding == "x-gzip" else coding] = not is_refused
    return weights.get("gzip", weights.get("*", False))


def compress(body: bytes, padding: int) -> bytes:
    """Return a body as a gzip member, with so many signs as its name. Source: RFC 1952 §2.3."""
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    header = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x04\xff" + b"x" * padding + b"\x00"
    trailer = struct.pack("<II", zlib.crc32(body), len(body) & 0xFFFFFFFF)
    return b"".join((header, deflate.compress(body), deflate.flush(), trailer))
