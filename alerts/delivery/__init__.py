"""How what was decided reaches people: an outbox that survives, threads of each receiver's own, and the words.

Where to look
    delivery    something to be said to one receiver, and what came of it
    notifier    what is asked of every receiver
    dispatch    what goes out now, and what attempts came to, over all receivers
    outbox      the same for one receiver
    record      the notification that goes on record
    sending     threads
    failures    a receiver that fails is itself a finding
    wording     an incident in words
    ocsf        a finding as an event for a SIEM
    advice      what it means, who must do what, where to read on
"""
