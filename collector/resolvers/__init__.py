"""Asking: one resolver, over which sockets, whether a reply is ours, and what it tells its own clients.

Where to look
    address, transport    where a resolver is, and how octets get there
    streams, connection   kept-open connections: which one a query takes, what is asked again, when they close
    lines, https          how a connection is opened: TCP, TLS, HTTPS through a proxy
    framing               which reply belongs to which query on one connection
    http1, http2          the same over HTTP
    http                  what DoH wants of a response
    identity              how a resolver proves who it is
    authentication        whether it did, and what was wrong
    carrier               which way a question takes to one resolver
    datagrams, ports      many questions at once over a pool of UDP sockets, one try each
    resolver              one question: retries, deadlines, truncation
    matching, habits      whether a reply answers the question; cookies and letter case
    suspicion             replies that answered nothing of ours
    dialogue              questions as steps of generators, and what runs many of these side by side
    view                  a resolver with what its chains have taught: pure, asks by steps
    vantage               the same for those who wait for an answer: the commands
    claims, stripping     what it tells clients; whether it withholds DNSSEC records
    homes                 in which zone a name lies, for when nothing answers
"""
