"""Findings: opened, confirmed, closed; on which cause they hang, and who is behind it.

Where to look
    book          the life of findings: what opens, confirms and closes them
    drifts        changes that happened, and who joined them since
    folding       changes that come too often to be told one by one
    tracked       one finding with its members, and when it is due to be announced again
    recurring     faults that come and go
    attribution   whether a fault is one name's or its zone's
    takeover      changes that together look like a takeover
    radius        which endpoints a finding affects
    blast         the identities that consume them
    acts          what people did that still counts
    changes       declared changes, and what each explains
    environments  names that several environments share
"""
