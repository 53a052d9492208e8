"""What is watched: rows, the documents that they are in, the files, and what is kept when a file loses rows.

Where to look
    rows        identities and endpoints as one inventory
    documents   YAML, CSV and JSON to rows; a further format goes there
    hosts       what may stand as a host name
    sources     the configured files, read again when they change
    retention   rows that vanished, and whether the loss is believed
    store       the last good rows on disk
"""
