"""Standard output and error as they are: any encoding, closed, a reader that has gone, or a full disk behind them.

The verdict and its exit status never depend on them: a sign that the encoding lacks is replaced, and what can't be
written is dropped and remembered.
"""

import codecs
import errno
import io
import json
import os
import sys
from collections.abc import Mapping
from typing import cast

SIGNS = str.maketrans({"✓": "+", "–": "-", "✗": "x", "→": "->", "←": "<-", "…": "...", "·": "-", "§": "sec. "})
STANDARD = (0, 1, 2)


def fit_text(text: str, encoding: str) -> str:
    """Return the text with every sign that the encoding lacks replaced by one that it has."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_fit_sign(sign, encoding) for sign in text)
    return text


def _fit_sign(sign: str, encoding: str) -> str:
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return sign.translate(SIGNS) if ord(sign) in SIGNS else "?"
    return sign


def to_ascii_json(encoded: bytes) -> str:
    """Return a JSON document with everything beyond ASCII escaped, so that any encoding can hold it.

    Source: RFC 8259 §7 (escapes, as UTF-16 has the sign).
    """
    text = encoded.decode()
    if text.isascii():
        return text
    # Beyond ASCII stands nothing but the inside of strings.
    return "".join(sign if sign.isascii() else json.dumps(sign)[1:-1] for sign in text)


def wants_colour(environ: Mapping[str, str]) -> bool | None:
    """Return what the environment says of colours, None for nothing: then a terminal gets them and a pipe does not.

    Source: https://no-color.org and https://force-color.org (present and not empty; NO_COLOR wins).
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return False if environ.get("TERM") == "dumb" else None


class SafeStream(io.TextIOWrapper):
    """A text stream that never fails for a sign and, unless ``strict``, never because nobody can read it.

    ``lost`` is the first error of a write, None while all was written.
    """

    def __init__(self, stream: io.TextIOWrapper, *, strict: bool) -> None:
        self._target, self._strict = stream.encoding, strict
        self.lost: OSError | None = None
        # click takes ASCII for a mistake and writes UTF-8 instead, so it is kept from it: the text is ASCII already.
        is_ascii = codecs.lookup(stream.encoding).name == "ascii"
        super().__init__(
            cast(io.BufferedWriter, stream.buffer),
            encoding="utf-8" if is_ascii else stream.encoding,
            errors="replace",
            line_buffering=stream.line_buffering,
        )

    def write(self, text: str, /) -> int:
        """Write the text as far as the encoding and the reader allow; return its length."""
        try:
            super().write(fit_text(text, self._target))
        except OSError as error:
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if self._strict:
            raise error
        self.lost = self.lost or error
        # What is still in the buffer has to go somewhere, or the interpreter's last flush changes the exit status.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def prepare_streams(*, strict_output: bool) -> None:
    """Make standard output and error safe; with ``strict_output`` a failed write to standard output stays an error.

    Problems are written to standard error, so a process never ends because nobody reads it.
    """
    _open_standard()
    # A closed descriptor made them None; a replaced stream (a test's, an embedding program's) is left as it is.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = SafeStream(sys.stdout, strict=strict_output)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
    elif isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = SafeStream(sys.stderr, strict=False)


def _open_standard() -> None:
    """Open what is closed of the descriptors 0 to 2, so that no socket or file takes their place."""
    for number in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def lost_output() -> str:
    """Return in a sentence why standard output could not be written, empty if it was or if its reader ended."""
    stream = sys.stdout
    if not isinstance(stream, SafeStream):
        return ""
    stream.flush()
    if stream.lost is None or stream.lost.errno == errno.EPIPE:
        return ""
    return f"standard output can't be written: {stream.lost.strerror}"
