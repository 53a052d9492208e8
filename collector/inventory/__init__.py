"""What is watched: rows, the documents that they are in, the files, and what is kept when a file loses rows.

Where to look
    rows         identities and endpoints as one inventory
    documents    YAML, CSV and JSON to rows
    formats/     what other programs have written, to rows; a further format goes there
    hosts        what may stand as a host name
    supplies/    where documents come from: files, folders
    sources      the configured sources, read again when they change
    differences  what one reading has and another has not
    retention    rows that vanished, and whether the loss is believed
    store        the last good rows on disk
"""
