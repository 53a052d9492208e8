"""What to do about each finding: for messages, for ``docs/runbooks``, and for the page of a running instance. Pure data.

Where to look
    runbook      what a runbook says
    library      all of them, by code, and a runbook as Markdown
    signatures   signatures, algorithms and proofs of absence
    chain        trust anchor, DS, keys, cuts and aliases
    servers      authoritative servers and resolvers
    changes      changes of keys, DS, servers and answers
    ourselves    our own troubles
"""
