"""The name under which a registry delegates: who holds it holds what lies below."""

from functools import cache

from publicsuffixlist import PublicSuffixList


@cache
def _public_suffixes() -> PublicSuffixList:
    """Return the public suffix list, read once: that takes a tenth of a second."""
    return PublicSuffixList()


def registrable_domain(name: str) -> str:
    """Return the name that was registered (``bank.example`` of ``ns1.bank.example.``), without the final dot."""
    text = name.rstrip(".")
    return str(_public_suffixes().privatesuffix(text) or text)
