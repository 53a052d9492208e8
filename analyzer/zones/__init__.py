"""What zones do over time, each as one vantage sees it, however many names lie below.

Where to look
    timeline     every zone as it is now, and the last validated sight before
    conditions   what is wrong with a zone now
    drift        edges between two validated sights: DS set, protection
    rollover     at which step a rollover is, what comes next, and what is unsafe
    unseen       what is known across a time in which nobody looked: what caches hold, what a gap explains
    keychange    what kind of change a key set went through
    expiry       signatures that run out: how urgent that is, and when to look again
    cadence      the rhythm in which a zone renews its signatures, and whether it has missed it
    sweeps       sweeps of the servers of a zone: what is remembered, what stands, what changed
    faults       faults of servers: confirmed and ended by looks
    servers      servers held against each other: reachability, signatures, keys, DS sets, answers
    nameservers  the delegation: dangling, told differently by parent and child, changed
    secondaries  servers that stay behind, or would serve expired signatures once cut off
    cds          what a zone asks its parent for
    serials      who is behind, and for how long that is no fault
    registrable  which names were registered together
    sights       what servers say, by side, and which of them agree

Glossary
    window       inception and expiration of a signature
    habit        the share of the lifetime that is usually left when a zone renews
    witness      the name whose polls count for its zone
    sweep        what each server of a zone, and each of its parent, said at about the same time
    look         what one sweep says of one fault of one server; a server that was not heard gives none
    lag          a server is behind by its serial, within the time that a refresh takes; beyond it is stale
    dangling     said of a delegation that leads to servers that do not know the zone, or do not exist
"""
