"""Which names belong together: those below one name that a registry delegates mostly share a chain and its servers."""

from functools import cache

from publicsuffixlist import PublicSuffixList

from collector.dnssec import names
from collector.dnssec.names import Name


@cache
def public_suffixes() -> PublicSuffixList:
    """Return the public suffix list, read once: that takes a tenth of a second."""
    return PublicSuffixList()


def registrable_domain(name: Name, suffixes: PublicSuffixList) -> str:
    """Return the name under which a registry delegates: what lies below it mostly shares a chain. Host names only."""
    text = names.to_text(name).rstrip(".")
    return str(suffixes.privatesuffix(text) or text)
