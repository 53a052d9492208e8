"""Who is told what, and why. Pure.

Where to look
    rules, frameworks   severity, receivers and controls of a finding
    incidents           findings with one cause
    decide              whether something is said now, and where a page is withheld
    news                what in an open incident must be said again
    bounds              how large an incident may grow
    coverage            receivers and severities that no rule reaches
    timekeeping         a clock that is never set
"""
