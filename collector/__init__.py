"""Polls what identities consume and validates the answers itself.

inventory → schedule → resolver (one UDP exchange) → skim: unchanged? → validation from the trust anchor down → zones
that are new or changed, then the name

``stage`` follows an inventory (``following``) and polls it (``poller``) in one process.

Names are tuples of lower-case labels, root first: see ``collector.dnssec.names``.
"""
