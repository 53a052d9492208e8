"""Who is notified of what, and why. Pure.

Where to look
    book                findings and the passing of time in, orders out
    draft, order        a step under way, and what it asks for
    telling             what an incident notes of who is told
    rules, frameworks   severity, receivers and controls of a finding
    incidents           findings with one cause
    open_incidents      the open ones, by cause, and what they explain
    decide              whether a receiver is notified now
    inhibition          where a page is withheld
    agenda              when an incident is looked at again
    news                what in an open incident must be said again
    failing             a receiver that fails
    bounds              how large an incident may grow
    coverage            receivers and severities that no rule reaches
    life, deeds         who took an incident, and what people do to it
    silences, matchers  what people silence
    schedule            weekly windows and instants in a time zone
    reporting           what is reported of each finding, page or no page
    drills, letters     a page that is a test, and digests of owners: both on a schedule
    routing, pace       where a finding goes, and how insistently
    storms              many incidents at once are one page
    timekeeping         a clock that is never set
    rehearsal           the same over findings of the past, by any rules
    comparison          what would have been told beside what was
"""
