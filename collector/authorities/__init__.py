"""Asking authoritative servers themselves: from the root hints down to a name, and all servers of a zone in turn.

Words
    hint          a root server that is known from the start
    stub          a zone whose servers the configuration names; nobody above it is asked where they are
    referral      a response that says which servers a zone below has; the delegation is what it says
    glue          an address that comes with a referral: a hint where to ask, never data
    lame          answering without authority for a zone that one is said to serve
    walk          from the closest known zone down to the servers that answer a question
    sweep         one question to each server of a zone and of its parent; a sight is what one of them says

Where to look
    hints, addresses       the root servers, and what an address may be
    delegations            which servers a zone has, and until when that is believed
    replies                whether a reply is an answer, a referral, or lame
    standing               which server is asked first
    effort                 the limits of one walk
    walk                   a question to the servers that know the answer: pure, by steps
    roll                   all servers of a zone and their addresses
    sweep, sights          what each of them says, and whether its signatures hold
    rounds, sweeps         which zone is swept when, and all of it together
    pacing                 how many questions a second one address gets
    servers                the driver: sockets, and the pace
"""
