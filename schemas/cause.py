"""What a cause is about: the chain of a zone, one owner name, a vantage, or ourselves.

``cause_rrset`` says it. ``zone.test. DNSKEY`` is the zone's own chain, ``zone.test. DS`` the cut at one name below it,
``zone.test. SOA`` the version of the zone that a server has, ``www.zone.test.`` (or ``www.zone.test. A``) is one owner
name, ``vantage corp`` a resolver, ``vantage corp www.zone.test.`` one name as that resolver answers it, and
``change zone.test.`` what somebody declared of a zone or a name. An empty text is a zone as a whole.
"""

from schemas.catalogue import codes_where

KEYS = " DNSKEY"
CUT = " DS"
INFRASTRUCTURE = (KEYS, CUT)
OF_CHAIN = codes_where(lambda row: row.explains_below)
VERSION = " SOA"
VANTAGE = "vantage "
CHANGE = "change "


def owner_of(cause_rrset: str) -> str:
    """Return the one owner name that a cause is about; empty for a zone, its keys, a whole vantage, or ourselves."""
    if cause_rrset.endswith(KEYS):
        return ""
    if cause_rrset.startswith(VANTAGE):
        return cause_rrset.removeprefix(VANTAGE).partition(" ")[2]
    owner = cause_rrset.partition(" ")[0]
    return owner if owner.endswith(".") else ""


def is_of_name(cause_rrset: str) -> bool:
    """Return whether a cause is about data of one owner name, and not about a zone's keys, cut or version."""
    return bool(owner_of(cause_rrset)) and not cause_rrset.endswith((*INFRASTRUCTURE, VERSION))


def vantage_of(cause_rrset: str) -> str:
    """Return ``vantage NAME`` where a cause hangs on a vantage, else nothing."""
    if not cause_rrset.startswith(VANTAGE):
        return ""
    return VANTAGE + cause_rrset.removeprefix(VANTAGE).partition(" ")[0]


def is_of_chain(code: str, cause_rrset: str) -> bool:
    """Return whether a fault lies in a zone's own chain: its anchor, DS set, key set, or the denial that makes its cut.

    Only such a fault can explain faults below it.
    """
    return cause_rrset.endswith(INFRASTRUCTURE) or (code in OF_CHAIN and not cause_rrset)


def bare(name: str) -> str:
    """Return a name as people write it, without the dot at its end; the root stays a dot."""
    return name[:-1] if name.endswith(".") and name != "." else name
