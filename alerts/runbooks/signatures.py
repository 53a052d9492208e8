"""Runbooks of signatures and of the proofs of absence. Pure data."""

from alerts.runbooks.runbook import GOOD_POLLS, PARENT, RESOLVER, SIGNER, SWEPT, US, Runbook
from schemas.codes import Code

STRICT = "Clients behind a validating resolver get SERVFAIL and can't connect; others get data that nothing proves."
RUNBOOKS: dict[Code, Runbook] = {
    Code.VERDICT_BOGUS: Runbook(
        means=STRICT,
        who=(
            (SIGNER, "find out why ZONE no longer validates, and publish a zone that does"),
            (US, "read the reasons in the evidence: this code alone does not name the link at fault"),
        ),
        look=("anchorwatch why NAME", "anchorwatch validate NAME", "delv @RESOLVER NAME A +vtrace"),
        fix=(
            "Read the first reason in `anchorwatch validate NAME`: it names the zone and the RRset at fault.",
            "If several vantages agree, the zone is at fault: call its signer with the evidence digest.",
            "If one vantage alone says so, a resolver or the path to it is: compare with `validate --resolver` of another.",
            "Never switch validation off for all names; a negative trust anchor for the one zone, with an end, is the last resort.",
        ),
    ),
    Code.VERDICT_INDETERMINATE: Runbook(
        means="Nobody can say whether the answers for NAME are genuine: something that the chain needs can't be fetched.",
        who=(
            (RESOLVER, "find out why it does not get what the chain of ZONE needs"),
            (SIGNER, "see whether the servers of ZONE answer for DNSKEY and DS over UDP and TCP"),
        ),
        look=(
            "anchorwatch validate NAME    # which question stays without an answer",
            "dig @RESOLVER ZONE DNSKEY +dnssec +tcp",
            "anchorwatch validate NAME --resolver udp://ANOTHER",
        ),
        fix=(
            "If only this resolver fails: look at its log, at firewalls that drop fragments or TCP 53, and at its upstream.",
            "If every resolver fails: the servers of ZONE are down or unreachable; call their operator.",
            "A large DNSKEY answer that is lost over UDP needs TCP: open it in both directions.",
        ),
    ),
    Code.RRSIG_EXPIRED: Runbook(
        means=STRICT,
        who=(
            (SIGNER, "sign ZONE again now, then find out why the signer stopped"),
            (US, "check that our own clock is right if more than one zone expires at once"),
        ),
        look=(
            "dig @SERVER NAME A +dnssec    # the expiration is the fifth field of RRSIG",
            "anchorwatch zones ZONE    # which signature ended when, as each vantage sees it",
            "date -u; chronyc tracking    # on the signer too: a signer with a wrong clock signs into the past",
        ),
        fix=(
            "Have the zone signed again and its serial raised (BIND: `rndc sign ZONE`; Knot: `knotc zone-sign ZONE`; OpenDNSSEC: `ods-signer sign ZONE`).",
            "See that every secondary has the new serial: `dig @EACH ZONE SOA +short`.",
            "Where the signature over DNSKEY ended and keys are offline, the key holder must sign the key set.",
            "Caches keep the expired signature until its TTL: ask the operators of important resolvers to flush ZONE.",
            "Mend what stopped the signer: a full disk, a lost HSM, a job that no longer runs, a frozen zone.",
        ),
    ),
    Code.RRSIG_NOT_YET_VALID: Runbook(
        means=STRICT,
        who=((SIGNER, "correct the signer's clock and sign ZONE again"), (US, "compare our clock with another source")),
        look=("dig @SERVER NAME A +dnssec    # inception is the sixth field", "date -u; chronyc tracking"),
        fix=(
            "If all zones look so, our clock is behind: see self_clock_skew.",
            "Correct the signer's clock, sign again with an inception an hour in the past.",
            "Check the secondaries' serials and have important resolvers flush ZONE.",
        ),
    ),
    Code.RRSIG_WINDOW_INVERTED: Runbook(
        means=STRICT,
        who=((SIGNER, "sign ZONE again with a tool whose validity period is set right"),),
        look=("dig @SERVER NAME A +dnssec    # expiration before inception",),
        fix=(
            "Look at the signer's validity setting and at its clock: one of them is wrong by years.",
            "Sign the whole zone again; a single edited record means that somebody changed the zone file by hand.",
        ),
    ),
    Code.RRSIG_CRYPTO_INVALID: Runbook(
        means="Somebody changed the data of NAME after they were signed, or the signer is broken: clients may be sent elsewhere.",
        who=(
            (SIGNER, "compare the served records with what was signed, at every server of ZONE"),
            (RESOLVER, "say whether anything between you and the servers rewrites answers"),
        ),
        look=(
            "anchorwatch evidence DIGEST    # the very messages, validated again",
            "anchorwatch validate NAME --resolver authoritative:    # what the servers themselves say",
            "dig @EACH-SERVER NAME A +dnssec    # does one of them differ?",
        ),
        fix=(
            "If the servers are right and one vantage is not, the path is at fault: treat it as an attack until shown otherwise, and take the identities behind that vantage off it.",
            "If one server is wrong: take it out of service, transfer the zone to it anew, and look for who had access.",
            "If all servers are wrong: sign the zone again; a record was edited behind the signer's back, or a key file does not belong to the published key.",
            "Rotate the credentials of identities that connected while it lasted, if the address was not one of theirs.",
        ),
    ),
    Code.RRSIG_PARTIAL_INVALID: Runbook(
        means="NAME still validates, by one of several signatures; clients that choose another algorithm or server may fail.",
        who=((SIGNER, "remove or renew the signatures of ZONE that do not verify"),),
        look=("dig @SERVER NAME A +dnssec +multi    # which key tag signs, and which fails",),
        fix=(
            "Find the key whose signatures fail: after a rollover its old signatures were left, or its file was exchanged.",
            "Sign again with all active keys and delete signatures of keys that are gone.",
        ),
    ),
    Code.RRSIG_MISSING: Runbook(
        means=STRICT,
        who=(
            (SIGNER, "serve ZONE with its signatures at every server"),
            (RESOLVER, "say whether anything on your path strips DNSSEC records"),
        ),
        look=(
            "dig @EACH-SERVER NAME A +dnssec",
            "dig @RESOLVER . DNSKEY +dnssec    # if these lack signatures too, the resolver strips them",
        ),
        fix=(
            "If one server serves an unsigned copy: it loads another file or view; point it at the signed one.",
            "If all do: the zone was loaded unsigned; sign it. Until then the DS at the parent makes it fail everywhere.",
            "If only one resolver shows it: see vantage_strips_dnssec.",
            "Only if the zone must stay unsigned: have the registrar remove the DS, and wait out its TTL first.",
        ),
    ),
    Code.RRSIG_SIGNER_INVALID: Runbook(
        means=STRICT,
        who=((SIGNER, "sign ZONE by its own keys and under its own name"),),
        look=("dig @SERVER NAME A +dnssec    # the signer's name is behind the key tag",),
        fix=(
            "A signer's name that is the parent's or another zone's: records were copied from a signed zone; sign them here.",
            "A label count larger than the owner name has: the record was renamed after it was signed; sign again.",
        ),
    ),
    Code.RRSIG_EXPIRING: Runbook(
        means="Nothing fails yet. When the signatures end, clients behind validating resolvers can't connect any more.",
        who=((SIGNER, "renew the signatures of ZONE before the time in the detail"),),
        look=(
            "anchorwatch zones ZONE    # which signature ends when",
            "dig @SERVER ZONE SOA    # does the serial still move?",
        ),
        fix=(
            "See whether the signer runs at all; start it, and let it sign the whole zone.",
            "If only the key set's signature runs out, the key-signing key is needed: plan its use before the end.",
        ),
        over="The first poll that sees newer signatures closes it.",
    ),
    Code.RRSIG_REFRESH_OVERDUE: Runbook(
        means="Nothing fails yet: the signer of ZONE usually renews more often, and has missed its rhythm.",
        who=((SIGNER, "see whether the signer of ZONE still runs"),),
        look=("anchorwatch zones ZONE", "dig @SERVER ZONE SOA +short    # compare the serial with the primary's"),
        fix=(
            "Look at the signer's log and disk, at its keys or HSM, and at transfers to the secondaries.",
            "If the rhythm was changed on purpose there is nothing to do: the watch learns it from three renewals.",
        ),
        over="The next renewal closes it.",
    ),
    Code.RRSIG_TTL_BEYOND_EXPIRY: Runbook(
        means="Caches may hand out signatures of ZONE that have ended: some clients fail for up to the TTL.",
        who=((SIGNER, "renew earlier, or lower the TTL of ZONE's records"),),
        look=("dig @SERVER NAME A +dnssec    # the TTL beside the time left until expiration",),
        fix=("Set the refresh period so that signatures always have more time left than the largest TTL.",),
    ),
    Code.RRSIG_SHORTER_THAN_SOA_EXPIRE: Runbook(
        means="Nothing fails. A secondary of ZONE that loses its primary would go on serving signatures that have ended.",
        who=((SIGNER, "make signatures of ZONE last longer than SOA expire, or lower that"),),
        look=("dig ZONE SOA +multi; dig ZONE DNSKEY +dnssec",),
        fix=(
            "Choose SOA expire below the signature's shortest remaining validity, as a third of it (RFC 6781 §4.4.2).",
        ),
        over=SWEPT,
    ),
    Code.DENIAL_MISSING: Runbook(
        means=STRICT,
        who=(
            (SIGNER, "serve NSEC or NSEC3 records of ZONE with negative and wildcard answers"),
            (RESOLVER, "see whether your path drops them"),
        ),
        look=("dig @EACH-SERVER nonexistent.ZONE A +dnssec", "anchorwatch evidence DIGEST"),
        fix=(
            "If one server leaves the proof out: it is too old, or loaded an unsigned copy; upgrade or reload it.",
            "If all do: the zone was signed without NSEC(3); sign it again.",
            "A middlebox that trims the authority section must be taken out of the path.",
        ),
    ),
    Code.DENIAL_INVALID: Runbook(
        means=STRICT,
        who=((SIGNER, "sign ZONE again so that its NSEC or NSEC3 chain is whole"),),
        look=("dig @SERVER nonexistent.ZONE A +dnssec", "anchorwatch evidence DIGEST    # which name is not covered"),
        fix=(
            "Build the whole chain anew: names were added or removed without it, or two NSEC3 parameters are mixed.",
            "See that all servers have the same serial: a mix of two versions of a zone proves nothing.",
        ),
    ),
    Code.DENIAL_CONTRADICTS_DATA: Runbook(
        means="ZONE proves both that NAME exists and that it does not: what a client gets depends on the server and on luck.",
        who=((SIGNER, "make all servers of ZONE serve one version"),),
        look=("dig @EACH-SERVER NAME A +dnssec", "dig @EACH-SERVER ZONE SOA +short"),
        fix=(
            "Bring all servers to the same serial; a lagging one still denies a new name.",
            "If serials agree, the NSEC chain is stale: sign again. An old denial replayed by somebody looks the same: see how old its signature is.",
        ),
    ),
    Code.WILDCARD_PROOF_INVALID: Runbook(
        means="Somebody may be answering NAME with a wildcard of ZONE though the name itself exists.",
        who=((SIGNER, "find out whether NAME exists, and serve the proof beside wildcard answers"),),
        look=(
            "dig @EACH-SERVER NAME A +dnssec    # fewer labels in RRSIG than in the name",
            "anchorwatch evidence DIGEST",
        ),
        fix=(
            "If the servers give the proof and the vantage does not: a resolver or path drops or replays answers; treat it as an attack.",
            "If the servers leave it out: upgrade them, or remove the wildcard.",
        ),
    ),
    Code.NSEC3_ITERATIONS_OVER_LIMIT: Runbook(
        means="Resolvers treat negative answers of ZONE as unsigned, or refuse them: its names are not protected.",
        who=((SIGNER, "sign ZONE with 0 extra iterations and no salt"),),
        look=("dig ZONE NSEC3PARAM +short",),
        fix=(
            "Set NSEC3 to `1 0 0 -` and sign again (RFC 9276 §3.1); with BIND: `rndc signing -nsec3param 1 0 0 - ZONE`.",
        ),
    ),
    Code.NSEC3_PARAMS_POOR: Runbook(
        means="Nothing fails: extra iterations cost resolvers time and protect nothing.",
        who=((SIGNER, "sign ZONE with 0 extra iterations and no salt at the next occasion"),),
        look=("dig ZONE NSEC3PARAM +short",),
        fix=("Set NSEC3 to `1 0 0 -` (RFC 9276 §3.1).",),
    ),
    Code.VALIDATION_BUDGET_EXCEEDED: Runbook(
        means="Validating NAME would cost more than any honest zone asks for: validating resolvers refuse it, or are slowed down on purpose.",
        who=(
            (SIGNER, "see whether ZONE really has so many keys of one tag, signatures or NSEC3 iterations"),
            (RESOLVER, "see that your resolver has the limits against KeyTrap"),
        ),
        look=("anchorwatch validate NAME    # which limit was met", "dig ZONE DNSKEY +dnssec +multi"),
        fix=(
            "If the zone is honest: remove old keys and signatures.",
            "If it is not one of yours: it may be an attack on resolvers (CVE-2023-50387); keep them patched, and do not raise `policy` limits.",
        ),
    ),
    Code.KEYTAG_COLLISION: Runbook(
        means="Nothing fails; resolvers have to try two keys for each signature of ZONE, and some refuse.",
        who=((SIGNER, "replace one of the two keys of ZONE"),),
        look=("dig ZONE DNSKEY +multi    # equal key ids with one algorithm",),
        fix=("Roll one of the two keys; generate the new one until its tag is not taken.",),
    ),
    Code.ALGORITHM_UNSUPPORTED: Runbook(
        means="Every resolver treats ZONE as unsigned: what clients get can be forged by anybody on the path.",
        who=((SIGNER, "sign ZONE with algorithm 13 or 8"), (PARENT, "publish a DS of digest type 2 for it")),
        look=("dig ZONE DS +short; dig ZONE DNSKEY +short",),
        fix=(
            "Roll the algorithm (RFC 6781 §4.1.4): sign with both, add the new DS, remove the old DS, then the old signatures.",
        ),
    ),
    Code.ALGORITHM_DEPRECATED: Runbook(
        means="ZONE still validates; resolvers begin to treat its algorithm or digest as unsigned.",
        who=((SIGNER, "plan an algorithm rollover of ZONE to 13"),),
        look=("dig ZONE DS +short    # digest type 1 is SHA-1; algorithms 5 and 7 are RSA/SHA-1",),
        fix=(
            "Add a DS of digest type 2 if only the digest is old.",
            "Else roll the algorithm as RFC 6781 §4.1.4 says.",
        ),
    ),
    Code.KEY_WEAK: Runbook(
        means="ZONE still validates; a key so short can be factored by somebody with means, who could then sign anything in it.",
        who=((SIGNER, "roll the short RSA key of ZONE to 2048 bits, or to ECDSA P-256"),),
        look=("dig ZONE DNSKEY +multi    # the length of the key material",),
        fix=(
            "Pre-publish the new key, sign with it, and withdraw the old one after the largest TTL (RFC 6781 §4.1.1).",
        ),
    ),
    Code.ALGORITHM_SIGNING_INCOMPLETE: Runbook(
        means="ZONE validates here; strict validators demand a signature of each algorithm that the DS set announces.",
        who=((SIGNER, "sign ZONE with every algorithm in its DS set, or take that DS away"),),
        look=("dig ZONE DS +short; dig ZONE DNSKEY +dnssec +multi",),
        fix=(
            "Sign everything with the announced algorithm, or have the registrar remove its DS first and wait out the TTL.",
        ),
        over=GOOD_POLLS,
    ),
}
