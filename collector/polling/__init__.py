"""Who is polled when, and what is remembered between two polls. Pure: time is an argument.

Where to look
    watch           who is due, what a reply means, what is asked next: the whole of polling, without a driver
    roster          what is polled, and what of it has changed
    schedule        every endpoint at its interval
    fairness        slots among zones and vantages
    confirmation    sooner, where something has just turned bad
    reachability    whether a vantage answers at all
    steady          polls that are one comparison; how many a resolver may have before it
    basis           the chain that verdicts rest on, shown anew once for all below it
    shares          which worker polls what
    merging         the reports of several workers as those of one
    status          how polling goes, in numbers
    memory          the last poll of an endpoint, and whether a new one says anything new
    zones           what was told of each zone, once for all names below it
    copies          for how long others may keep what a vantage shows
    denials         how a zone proves absence, by all proofs seen
    churn           answers that change all the time
    flood           what one name or zone may have told of its changes in a day
    outbox          what has to be handed on
    timekeeping     whether the wall clock was set
    registrable     which names probably share a zone
"""
