"""The story of an incident that a receiver got, and what is news since. Pure."""

import msgspec

from schemas.catalogue import Severity
from schemas.messages import CRITICALITY_ORDER

MAX_NAMED = 5


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What an incident says to people: the code that leads, how severe, who is affected, drift, and what it explains.

    ``names`` are owner names at fault by themselves, ``servers`` the authoritative servers at fault, ``members`` the
    causes in a storm. They, ``owners``, ``drifts`` and ``explains`` are sorted and hold each once; ``criticality`` is
    that of the most critical identity affected, empty where none is. ``widened`` is whether the zone as a whole
    failed after somebody had acknowledged that some of its names did.
    """

    lead: str
    severity: Severity = Severity.INFO
    owners: tuple[str, ...] = ()
    criticality: str = ""
    drifts: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    widened: bool = False


def describe_news(sent: Story, now: Story) -> str:
    """Return what must be added or corrected since a receiver was notified, in one line; empty when nothing must.

    Less of anything is no news: the end of an incident is a message of its own.
    """
    news = []
    if now.lead != sent.lead and now.severity.rank >= sent.severity.rank:
        news.append(f"{sent.lead} became {now.lead}")
    if _place(now.criticality) < _place(sent.criticality):
        news.append(f"an identity of criticality {now.criticality} is affected")
    if now.widened and not sent.widened:
        news.append("now the zone as a whole is at fault")
    for word, before, after in (
        ("also affects", sent.owners, now.owners),
        ("also found:", sent.drifts, now.drifts),
        ("also at fault:", sent.names, now.names),
        ("also at fault, of the servers:", sent.servers, now.servers),
        ("withheld as explained by it:", sent.explains, now.explains),
        ("also in this storm:", sent.members, now.members),
    ):
        if added := sorted(set(after) - set(before)):
            more = f" and {len(added) - MAX_NAMED} more" if len(added) > MAX_NAMED else ""
            news.append(f"{word} {', '.join(added[:MAX_NAMED])}{more}")
    return "; ".join(news)


def is_worse(sent: Story, now: Story) -> bool:
    """Return whether an incident became worse than a receiver was told: it must ring, and waits for nothing.

    Whoever breaks a zone after one of its names must not find that who has the name's page hears nothing of it.
    """
    is_graver = now.severity.rank > sent.severity.rank or _place(now.criticality) < _place(sent.criticality)
    return is_graver or (now.widened and not sent.widened)


def _place(criticality: str) -> int:
    return CRITICALITY_ORDER.get(criticality, len(CRITICALITY_ORDER))
