"""Runbooks of authoritative servers and of resolvers. Pure data."""

from alerts.runbooks.runbook import OWNER, PARENT, REGISTRAR, RESOLVER, SERVERS, SWEPT, US, Runbook
from schemas.codes import Code

RUNBOOKS: dict[Code, Runbook] = {
    Code.AUTH_SIGNATURE_DIVERGENCE: Runbook(
        means="Some clients can connect to NAME and some can't, depending on the server that their resolver asks.",
        who=((SERVERS, "take the servers in the detail out of service, or give them the signed zone"),),
        look=("dig @EACH-SERVER ZONE SOA +short", "dig @EACH-SERVER NAME A +dnssec"),
        fix=(
            "Transfer the zone anew to the servers that lag.",
            "If serials agree, that server changes or loads another copy: rebuild it, and look for who had access.",
        ),
        over=SWEPT,
    ),
    Code.AUTH_DNSKEY_DIVERGENCE: Runbook(
        means="Servers of ZONE publish different keys: validation fails for whoever mixes their answers.",
        who=((SERVERS, "bring all servers of ZONE to one key set"),),
        look=("dig @EACH-SERVER ZONE DNSKEY +short | sort | sha256sum",),
        fix=(
            "With one provider: a transfer lags; see its log.",
            "With several providers: each must publish the keys of all (RFC 8901).",
        ),
        over=SWEPT,
    ),
    Code.AUTH_DS_DIVERGENCE: Runbook(
        means="Whether ZONE is signed depends on the parent's server that is asked: one of them is stale or forged.",
        who=((PARENT, "bring all servers of the parent zone to one version"), (REGISTRAR, "say which DS set is right")),
        look=("dig @EACH-PARENT-SERVER ZONE DS +norecurse",),
        fix=(
            "If a change was just made, wait one propagation time of the registry.",
            "Else report the server to the registry, with the evidence; a DS that nobody ordered is an attack on the registration.",
        ),
        over=SWEPT,
    ),
    Code.AUTH_ANSWER_DIVERGENCE: Runbook(
        means="Clients get different data for NAME, depending on the server that is asked.",
        who=((SERVERS, "see whether the difference at NAME is meant (views, load balancing)"),),
        look=("dig @EACH-SERVER NAME A +short",),
        fix=(
            "If it is not meant: transfer the zone anew to the odd servers.",
            "If it is: name all data in the inventory's `answers`.",
        ),
        over=SWEPT,
    ),
    Code.AUTH_SERVER_UNSIGNED: Runbook(
        means="Clients whose resolver asks that server can't validate ZONE, and fail now and then.",
        who=((SERVERS, "serve the signed zone at the servers in the detail"),),
        look=("dig @SERVER NAME A +dnssec",),
        fix=(
            "Load the signed file or view; upgrade a server that knows no DNSSEC; take it out of the NS set meanwhile.",
        ),
        over=SWEPT,
    ),
    Code.AUTH_SERVER_UNREACHABLE: Runbook(
        means="ZONE still answers through its other servers; look-ups take longer, and one more loss matters.",
        who=((SERVERS, "bring the server in the detail back, or take it out of the NS set"),),
        look=("dig @SERVER ZONE SOA +norecurse; dig @SERVER ZONE SOA +tcp",),
        fix=("Look at host, service and firewall (UDP and TCP 53), from more than one network.",),
        over=SWEPT,
    ),
    Code.DELEGATION_DANGLING: Runbook(
        means="Whoever takes over the name or the zone account that the delegation names can answer for ZONE.",
        who=(
            (REGISTRAR, "remove the NS names in the detail from ZONE's delegation now"),
            (SERVERS, "serve ZONE there, if these servers are meant"),
        ),
        look=(
            "dig ZONE NS @PARENT-SERVER +norecurse",
            "dig @SERVER ZONE SOA +norecurse    # REFUSED or no authority: lame",
            "whois the domain of the NS name",
        ),
        fix=(
            "Remove NS records that lead to nobody, first those whose domain can be registered.",
            "If a DNS provider dropped the zone: create it there again before somebody else does, then move.",
        ),
        over=SWEPT,
    ),
    Code.NS_PARENT_CHILD_MISMATCH: Runbook(
        means="Nothing fails: parent and child name different servers for ZONE, so that some are never asked, or asked in vain.",
        who=((REGISTRAR, "make the delegation equal to ZONE's own NS set"),),
        look=("dig ZONE NS @PARENT-SERVER +norecurse; dig ZONE NS @SERVER",),
        fix=("Decide which set is right, and change the other one.",),
        over=SWEPT,
    ),
    Code.RESOLVER_DISAGREES: Runbook(
        means="Clients of this resolver get something else for NAME than what is provably right: they may be talking to somebody else.",
        who=(
            (RESOLVER, "find out where the answer in the detail came from, and flush NAME"),
            (OWNER, "take identities off this resolver until it is explained"),
        ),
        look=(
            "anchorwatch validate NAME    # both answers, with DO=1 and plain",
            "dig @RESOLVER NAME A; dig @RESOLVER NAME A +dnssec +cd",
        ),
        fix=(
            "Look for response policy zones, DNS64, split views or a captive portal on that resolver.",
            "Flush the name; if the wrong answer comes back, something upstream forges it.",
            "If clients connected meanwhile: rotate the credentials that they presented.",
        ),
    ),
    Code.RESOLVER_NOT_VALIDATING: Runbook(
        means="This resolver hands out forged data as readily as genuine ones: its clients have no protection by DNSSEC.",
        who=((RESOLVER, "turn DNSSEC validation on"),),
        look=("dig @RESOLVER dnssec-failed.org A    # SERVFAIL where validation works",),
        fix=(
            "BIND: `dnssec-validation auto;` Unbound: `auto-trust-anchor-file`; Windows: a trust anchor and a name resolution policy.",
            "If it forwards: the upstream must validate, and the path to it must be protected.",
        ),
    ),
    Code.RESOLVER_NTA_SUSPECTED: Runbook(
        means="Below one name this resolver does not validate: whatever is answered there is believed.",
        who=((RESOLVER, "remove the negative trust anchor, or say until when it is needed"),),
        look=("rndc nta -dump; unbound-control list_insecure",),
        fix=(
            "Remove it (`rndc nta -remove ZONE`, `unbound-control insecure_remove ZONE`) once the zone validates again.",
        ),
    ),
    Code.VANTAGE_STRIPS_DNSSEC: Runbook(
        means="Nothing can be validated through this resolver; clients behind it can't validate either.",
        who=((RESOLVER, "let DNSSEC records through: EDNS, DO=1, large answers, TCP"),),
        look=("dig @RESOLVER . DNSKEY +dnssec", "dig @RESOLVER . SOA +dnssec +norec"),
        fix=(
            "Look at forwarders and middleboxes in front of it: one that strips EDNS, or an old forwarder.",
            "If it served DNSSEC before and stopped without a change of yours, somebody is in between.",
        ),
    ),
    Code.SPOOFING_SUSPECTED: Runbook(
        means="Somebody may be trying to get forged answers into this resolver's replies to us, and surely to its clients.",
        who=((RESOLVER, "see where the replies in the detail come from"), (US, "capture on port 53 for some minutes")),
        look=("tcpdump -ni any 'udp src port 53' -c 1000",),
        fix=(
            "Check source port randomisation and 0x20 on the resolver; move the path to it to DNS over TLS.",
            "A load balancer that answers twice looks the same: then name that, and silence this vantage for it.",
        ),
        over="Five calm minutes close it.",
    ),
    Code.VANTAGE_DISAGREEMENT: Runbook(
        means="Clients get other answers or verdicts for NAME depending on their resolver.",
        who=((RESOLVER, "explain the difference that the detail shows"), (OWNER, "say which answer is right")),
        look=("anchorwatch why NAME    # each vantage", "anchorwatch validate NAME --resolver EACH"),
        fix=(
            "Split horizon that is meant: name all data in `answers`.",
            "A cache that lags heals within its TTL; what stays is a view, a filter or a forgery.",
        ),
    ),
    Code.SELF_VANTAGE_LOST: Runbook(
        means="Names behind this resolver are not watched through it, and its clients can't resolve at all.",
        who=((RESOLVER, "bring the resolver back"), (US, "see whether we can reach it at all")),
        look=("dig @RESOLVER . NS", "anchorwatch findings --code self_vantage_lost"),
        fix=("Look at the service, then at access lists (are we still allowed to ask?), then at the path.",),
        over="The first control question that is answered closes it.",
    ),
}
