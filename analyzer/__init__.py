"""Keeps the verdict history and turns observations into findings.

observations of names and of zones → conditions (what is wrong now) and drift (what changed) → findings with cause and
blast radius

Where to look
    stage              the driver: asks the history, stores, hands findings on
    config             its section of the configuration
    analysis           each message of a batch to the part that it concerns; what happens as time passes
    needs              what must be asked of the history before a batch
    batch              what a batch comes with, and what comes of it
    estate             the state that all parts share: endpoints, zones, servers, inventory, acts
    watched_endpoints  observations and polls of endpoints
    answer_drift       what changed in an endpoint's answers
    watched_zones      zones, and the names whose polls count for them
    watched_servers    sweeps of the servers of a zone
    signatures         signatures that run out
    inventory          who joins and who leaves
    self_reports       what is wrong with ourselves
    reporters          who reports a trouble of its own, and who is gone
    wording            instants and spans of time in words
    detected           a condition lasts, a drift happens
    sightings          records that an endpoint has shown, and for how long
    endpoints/ zones/ findings/ history/   the rooms, each with a map of its own

Glossary
    estate       everything that is watched
    stale        said of a zone that no poll has confirmed since it was read from the history
    restore      take up what an earlier process knew, at a start
    recall       take in what the history knows of a zone that is back after a while
"""
