"""Polls what identities consume and validates the answers itself.

inventory → schedule → resolver (one UDP exchange) → skim: unchanged? → validation from the trust anchor down → zones
that are new or changed, then the name

Where to look
    stage          follows an inventory and polls it, in one process
    following      reads the inventory again and again
    poller         the driver: sockets, clocks and tasks around the watch
    config         all that the collector is told
    anchor_file    the file of trust anchors, read again when it changes
    inventory/ polling/ resolvers/ authorities/ dnssec/   the rooms, each with a map of its own

Names are tuples of lower-case labels, root first: see ``collector.dnssec.names``.
"""
