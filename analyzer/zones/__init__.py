"""What zones do over time, each as one vantage sees it, however many names lie below.

Where to look
    timeline     every zone as it is now, and the last validated sight before
    conditions   what is wrong with a zone now
    drift        edges between two validated sights: DS set, keys, protection
    rollover     what kind of change a key set went through
    expiry       signatures that run out, the habit of their renewals, and when to look again

Glossary
    window       inception and expiration of a signature
    habit        the share of the lifetime that is usually left when a zone renews
    witness      the name whose polls count for its zone
"""
