"""A scripted DNS on a virtual clock, through the real collector, analyzer and alerts.

A *scenario* is a file that says what there is (zones, servers, vantages, an inventory), what happens when (*steps*),
and what must come of it (*expectations*). Nothing in a run depends on the machine: time is virtual and chance comes
from the scenario's seed, so the same scenario gives the same result octet for octet.

Where to look
    language      the words of a scenario
    reading       a file to a scenario, every problem at once
    times         spans and instants
    keys, zones   what an operator has: keys, data, signatures; what is served of it
    faults        what is wrong with a copy of a zone
    servers       what an authoritative server answers
    messages      answers as octets, whose TTLs run down
    resolvers     resolvers with caches, validating or not, honest or not
    world         all of these, and the network between
    deeds         the words of steps, done to the world
    desk          receivers that write down what they are sent
    stages        the real collector, analyzer and alerts on a virtual clock, with restarts
    running       one run: instants, one after the other
    record        what happened
    judging       the record held against the expectations
    report        tables and JSON
"""
