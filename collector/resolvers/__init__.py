"""Asking: one resolver, over which sockets, whether a reply is ours, and what it tells its own clients.

Where to look
    address, transport    where a resolver is, and how octets get there
    https                 the same over HTTPS
    resolver              one question: retries, deadlines, truncation
    matching, habits      whether a reply answers the question; cookies and letter case
    suspicion             replies that answered nothing of ours
    dialogue              questions as steps of generators, and what runs many of these side by side
    view                  a resolver with what its chains have taught: pure, asks by steps
    vantage               the same for those who wait for an answer: the commands
    claims, stripping     what it tells clients; whether it withholds DNSSEC records
    homes                 in which zone a name lies, for when nothing answers
"""
