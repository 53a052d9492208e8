"""Decides who is notified of what: findings → rules → incidents → deliveries, each decision with its reason.

Its state is in the ledger: open incidents, deliveries, notifications.
"""
