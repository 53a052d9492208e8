"""What people ask of the history: lists sorted, filtered and cut by the database, and the few rows that one page shows.

Where to look
    asking       how a list is asked for: page, search, instant
    checks       names, types and vantages with their verdicts, now or at an instant; how one name went on
    findings     findings as they are now, and counts of them
    zones        zones as they are now, their keys, DS sets and signatures over time
    identities   who consumes what, by identity and by owner, with the weakest verdict
    days         what changed, and when, and what ends when
    finding      anything by a few signs of it
"""
