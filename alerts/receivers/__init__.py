"""Ways to reach people, one file each.

Where to look
    posting     one POST of JSON, and what came of it
    exchange    one HTTP exchange with a deadline
    webhook, pagerduty, local
"""
