"""What a runbook says. ZONE and NAME stand for the cause zone and a host affected. Pure data."""

import msgspec

SIGNER = "the zone's signer"
"""Who operates the zone's DNSSEC: the DNS team or provider of the zone's owner."""
REGISTRAR = "the registrar"
"""Through whom the zone's owner changes DS and NS at the parent."""
PARENT = "the parent zone's operator"
RESOLVER = "the resolver's operator"
SERVERS = "the operator of the name servers"
OWNER = "the identity's owner"
"""Who owns the service account, the workload or the client that consumes the name."""
US = "the operator of anchorwatch"

GOOD_POLLS = "Three good polls in a row close it; `anchorwatch why NAME` then says secure, and RESOLVED is told."
ACCEPTED = (
    "A change does not heal. It is over once somebody accepts it (`anchorwatch accept`), or is told as NO MORE NEWS after"
    " `alerts.drift_hold`."
)
SWEPT = "The next sweeps of the zone's servers close it; `anchorwatch finding ID` then says closed."


class Runbook(msgspec.Struct, frozen=True, kw_only=True):
    """What a finding means for clients, who must do what (the first acts first), and how to see that it is over.

    ``look`` are commands and questions that narrow the cause down, ``fix`` steps in order.
    """

    means: str
    who: tuple[tuple[str, str], ...]
    look: tuple[str, ...]
    fix: tuple[str, ...]
    over: str = GOOD_POLLS
