"""Unbound as a library, a fresh one for each question: questions in, opinions out, one JSON line each.

A process of its own, because Unbound can be made to spin for ever, and then only killing it helps.
"""

import contextlib
import ctypes
import json
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_void_p
from functools import lru_cache


class _Result(ctypes.Structure):
    """``struct ub_result`` of unbound.h."""

    _fields_ = (
        ("qname", c_char_p),
        ("qtype", c_int),
        ("qclass", c_int),
        ("data", c_void_p),
        ("len", c_void_p),
        ("canonname", c_char_p),
        ("rcode", c_int),
        ("answer_packet", c_void_p),
        ("answer_len", c_int),
        ("havedata", c_int),
        ("nxdomain", c_int),
        ("secure", c_int),
        ("bogus", c_int),
        ("why_bogus", c_char_p),
        ("was_ratelimited", c_int),
        ("ttl", c_int),
    )


@lru_cache
def library() -> ctypes.CDLL | None:
    for name in ("libunbound.so.8", "libunbound.so", "libunbound.8.dylib"):
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(name)
            library.ub_ctx_create.restype = c_void_p
            library.ub_ctx_create.argtypes = ()
            library.ub_ctx_delete.restype = None
            library.ub_ctx_delete.argtypes = (c_void_p,)
            library.ub_ctx_set_option.argtypes = (c_void_p, c_char_p, c_char_p)
            library.ub_ctx_set_fwd.argtypes = (c_void_p, c_char_p)
            library.ub_ctx_add_ta.argtypes = (c_void_p, c_char_p)
            library.ub_resolve.argtypes = (c_void_p, c_char_p, c_int, c_int, POINTER(POINTER(_Result)))
            library.ub_resolve_free.restype = None
            library.ub_resolve_free.argtypes = (POINTER(_Result),)
            library.ub_version.restype = c_char_p
            return library
    return None


def ask(qname: str, qtype: int, port: int, anchors: list[str], options: dict[str, str]) -> tuple[str, int, str]:
    """Return verdict, rcode and reason of a fresh Unbound that forwards to ``port``."""
    unbound = library()
    assert unbound is not None
    context = unbound.ub_ctx_create()
    try:
        for option, value in options.items():
            if unbound.ub_ctx_set_option(context, option.encode(), value.encode()):
                raise RuntimeError(f"Unbound refuses {option} {value}")
        unbound.ub_ctx_set_fwd(context, f"127.0.0.1@{port}".encode())
        for anchor in anchors:
            unbound.ub_ctx_add_ta(context, anchor.encode())
        result = POINTER(_Result)()
        error = unbound.ub_resolve(context, qname.encode(), qtype, 1, byref(result))
        if error:
            return "servfail", 2, f"libunbound error {error}"
        found = result.contents
        why = (found.why_bogus or b"").decode("utf-8", "replace")
        if found.bogus:
            verdict = "bogus"
        elif found.secure:
            verdict = "secure"
        else:
            verdict = "servfail" if found.rcode not in (0, 3, 6) else "insecure"
        opinion = verdict, int(found.rcode), why
        unbound.ub_resolve_free(result)
        return opinion
    finally:
        unbound.ub_ctx_delete(context)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(ask(*json.loads(line))), flush=True)
