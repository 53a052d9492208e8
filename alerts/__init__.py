"""Decides who is notified of what: findings → rules → incidents → deliveries, each decision with its reason.

Its state is in the ledger: open incidents, deliveries, notifications.

Where to look
    stage      the driver: ledger, clock and threads around the book
    config     its section of the configuration
    journal    what is noted of each step in the log
    decision/ delivery/ receivers/ ledger/ runbooks/   the rooms, each with a map of its own
"""
