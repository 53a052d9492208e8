"""Decides what a person must hear: findings → rules → incidents → deliveries, each decision with its reason.

State is the ledger's: what was said, to whom, what is open.
"""
