"""How what was decided reaches people: an outbox that survives, threads of each receiver's own, and the words.

Where to look
    delivery    something to be said to one receiver, and what came of it
    notifier    what is asked of every receiver
    outbox      what goes out now, and when again
    sending     threads
    failures    a receiver that fails is itself a finding
    wording     an incident in words
"""
