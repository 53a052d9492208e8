"""What a page says beyond the facts: what they mean, who must do what, how to see that it is over. Pure."""

from dataclasses import dataclass

from alerts.decision.order import Order
from alerts.runbooks.library import fill, find_runbook
from schemas.cause import bare

INCIDENT, RUNBOOK, EVIDENCE = "incident", "runbook", "evidence"


@dataclass(frozen=True, slots=True)
class Advice:
    """Sentences for people; ``who`` are pairs of a role and what it must do, the first acts first.

    ``links`` are URLs by what they show, none where nobody said under which URL people reach us.
    """

    means: str
    who: tuple[tuple[str, str], ...]
    over: str
    links: dict[str, str]
    commands: tuple[str, ...]


def advise(order: Order) -> Advice:
    """Return what to tell people about an incident; of what leads it."""
    incident, lead = order.incident, order.incident.lead
    runbook = find_runbook(lead.code)
    zone, host = bare(lead.cause_zone or incident.cause), first_host(order)
    commands = [f"anchorwatch incident {incident.id[:8]}", f"anchorwatch ack {incident.id[:8]}"]
    if lead.evidence:
        commands.append(f"anchorwatch evidence {lead.evidence[:8]}")
    if runbook is None:
        return Advice("", (), "", links_of(order), tuple(commands))
    return Advice(
        means=fill(runbook.means, zone, host),
        who=tuple((who, fill(what, zone, host)) for who, what in runbook.who),
        over=fill(runbook.over, zone, host).replace(" ID", f" {lead.id[:8]}"),
        links=links_of(order),
        commands=tuple(commands),
    )


def links_of(order: Order) -> dict[str, str]:
    """Return the URLs of an incident's page, of the runbook and of the evidence of what leads it."""
    if not order.base:
        return {}
    lead = order.incident.lead
    links = {INCIDENT: f"{order.base}/incidents/{order.incident.id}", RUNBOOK: f"{order.base}/runbooks/{lead.code}"}
    if lead.evidence:
        links[EVIDENCE] = f"{order.base}/api/v1/evidence/{lead.evidence}"
    return links


def first_host(order: Order) -> str:
    """Return a host that the most critical identity consumes, or any that is affected; empty where none is."""
    for identity in order.incident.identities:
        if identity.hosts:
            return identity.hosts[0]
    endpoints = (one for entry in order.incident.entries.values() for one in entry.finding.endpoints)
    return next((one.partition(" ")[0].rstrip(".") for one in endpoints), "")
