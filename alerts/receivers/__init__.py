"""Ways to reach people: one file for each type, with its configuration and its notifier.

Where to look
    types       every type that there is
    receiver    what all of them have
    webhook, pagerduty, jsm, alertmanager, slack, teams, mail, syslog, command, console
    file, kafka     every finding as an event
    apprise     the long tail
    posting     one POST of JSON, and what came of it
    exchange    one HTTP exchange with a deadline
"""
