"""Runbooks of changes: of keys, DS, servers, answers, and of what people declared. Pure data."""

from alerts.runbooks.runbook import ACCEPTED, OWNER, REGISTRAR, SERVERS, SIGNER, US, Runbook
from schemas.codes import Code

TAKEN = (
    "If nobody ordered it: have the registrar lock the domain (registry lock), restore DS and NS, change the account's"
    " password and second factor, and look at its log of changes."
)
RUNBOOKS: dict[Code, Runbook] = {
    Code.SECURE_TO_INSECURE: Runbook(
        means="ZONE lost its signatures in a valid way: from now on anybody on the path can forge NAME, and nothing will say so.",
        who=(
            (REGISTRAR, "say who removed the DS of ZONE, and put it back"),
            (OWNER, "treat connections to NAME as unprotected until then"),
        ),
        look=(
            "dig ZONE DS +short    # empty?",
            "whois ZONE    # the registrar's last update",
            "anchorwatch history NAME",
        ),
        fix=(
            "If it was planned: accept it, and next time declare it (`anchorwatch change add ZONE --what unsign`).",
            TAKEN,
            "Put the DS back only while the zone still serves its signed version.",
        ),
        over=ACCEPTED,
    ),
    Code.ZONE_CUT_CHANGED: Runbook(
        means="Somebody else may answer for names below the new cut, or they moved back into the zone above.",
        who=((SIGNER, "say whether the cut at the name in the detail was made on purpose"),),
        look=("dig CUT NS; dig CUT DS", "anchorwatch finding ID    # before and after"),
        fix=(
            "If it was planned: accept it.",
            "If not: remove the delegation from the zone above, and look for who changed it.",
        ),
        over=ACCEPTED,
    ),
    Code.DS_CHANGED: Runbook(
        means="Nothing fails; whoever changed the DS of ZONE decides which keys are trusted.",
        who=((SIGNER, "say whether this DS belongs to a key of ZONE"), (REGISTRAR, "say who ordered it")),
        look=("dig ZONE DS +short; dig ZONE DNSKEY +multi", "whois ZONE"),
        fix=("If it was planned: accept it, and next time declare it (`--what ds`).", TAKEN),
        over=ACCEPTED,
    ),
    Code.KEY_ROLLOVER: Runbook(
        means="Nothing fails: the keys of ZONE changed as a rollover does.",
        who=((SIGNER, "nothing, if the rollover is yours"),),
        look=("anchorwatch zones ZONE",),
        fix=("If nobody rolled keys, treat it as key_change_unexpected.",),
        over=ACCEPTED,
    ),
    Code.ROLLOVER_UNSAFE: Runbook(
        means="Caches that still hold the old keys or DS of ZONE see it as broken, until the time in the detail.",
        who=(
            (SIGNER, "bring the withdrawn key or signatures back until that time"),
            (REGISTRAR, "bring the old DS back if that went first"),
        ),
        look=("anchorwatch zones ZONE    # what is left, and until when", "dig ZONE DNSKEY +multi; dig ZONE DS"),
        fix=(
            "Publish old and new side by side until the largest TTL has passed (RFC 7583).",
            "If that can't be: have important resolvers flush ZONE.",
            "Set the signer's propagation delay and the parent's DS TTL right before the next rollover.",
        ),
        over=ACCEPTED,
    ),
    Code.KEY_CHANGE_UNEXPECTED: Runbook(
        means="The keys that vouch for ZONE were exchanged at one stroke: that is how a takeover looks, and caches see the zone as broken.",
        who=(
            (REGISTRAR, "say who replaced the DS of ZONE, and lock the domain"),
            (SIGNER, "say whether the new key is yours"),
            (OWNER, "stop using NAME for credentials until that is answered"),
        ),
        look=(
            "anchorwatch finding ID    # before and after",
            "whois ZONE    # last update, name servers",
            "anchorwatch evidence DIGEST",
        ),
        fix=(
            "If it was planned: accept it, and next time declare keys and ds.",
            TAKEN,
            "If it was a takeover: look up certificates issued meanwhile (certificate transparency), revoke them, and rotate what clients sent.",
        ),
        over=ACCEPTED,
    ),
    Code.ALGORITHM_DOWNGRADED: Runbook(
        means="ZONE still validates, by a weaker algorithm or digest than before: forging it became cheaper.",
        who=((SIGNER, "say why, and go back to the stronger algorithm"),),
        look=("anchorwatch finding ID    # before and after", "dig ZONE DS +short"),
        fix=(
            "If a provider was changed: order the stronger algorithm there.",
            "If the DS of the stronger one was removed by nobody: treat it as key_change_unexpected.",
        ),
        over=ACCEPTED,
    ),
    Code.NS_SET_CHANGED: Runbook(
        means="Other servers answer for ZONE than before: whoever operates them decides where its clients go.",
        who=((REGISTRAR, "say who changed the delegation of ZONE"), (SERVERS, "say whether the new servers are yours")),
        look=(
            "dig ZONE NS @PARENT-SERVER +norecurse",
            "anchorwatch sweeps of ZONE in the API: /api/v1/sweeps?zone=ZONE",
        ),
        fix=("If it was planned: accept it, and next time declare it (`--what ns`).", TAKEN),
        over=ACCEPTED,
    ),
    Code.TAKEOVER_PATTERN: Runbook(
        means="Several changes at ZONE within a short time look like a takeover: clients may be sending their credentials to somebody else.",
        who=(
            (REGISTRAR, "lock ZONE, and restore DS and NS as they were"),
            (OWNER, "stop identities that use NAME, and rotate what they presented since the first change"),
        ),
        look=(
            "anchorwatch incident ID    # the parts, in order",
            "whois ZONE",
            "crt.sh: certificates of ZONE since then",
        ),
        fix=(
            TAKEN,
            "Revoke certificates that were issued meanwhile.",
            "Keep the evidence: `anchorwatch evidence DIGEST --json` of each part.",
            "That the changes were undone is no all-clear: a takeover of half an hour is how it is done.",
        ),
        over=ACCEPTED,
    ),
    Code.ANSWER_CHANGED: Runbook(
        means="NAME leads somewhere else than before: its clients connect, and authenticate, there.",
        who=((OWNER, "say whether the new data are right"), (SIGNER, "say who changed the record")),
        look=(
            "anchorwatch finding ID    # before and after",
            "openssl s_client -connect NEW:443 -servername NAME    # whose certificate?",
        ),
        fix=(
            "If it was planned: accept it; name the networks in the inventory's `answers` so that moves within them are quiet.",
            "If not: correct the record, look for who changed it, and rotate what clients sent there.",
        ),
        over=ACCEPTED,
    ),
    Code.ANSWER_UNSTABLE: Runbook(
        means="Nothing fails: NAME changes so often that single changes are only counted.",
        who=((OWNER, "name the networks that NAME may answer in the inventory"),),
        look=("anchorwatch history NAME",),
        fix=("`answers: [192.0.2.0/24]` at the endpoint: whatever lies outside is then told at once.",),
    ),
    Code.ENVIRONMENT_MIXED: Runbook(
        means="Production rests on a name that other environments use, too, or is answered from one of theirs.",
        who=((OWNER, "give each environment a name of its own"),),
        look=("anchorwatch why NAME    # identities and their environments",),
        fix=(
            "Separate the names, then the credentials.",
            "If sharing is meant, correct `environment` in the inventory.",
        ),
    ),
    Code.CDS_DELETE_REQUESTED: Runbook(
        means="ZONE asks its parent to remove its DS: once that is done, NAME can be forged.",
        who=(
            (SIGNER, "say whether ZONE is to go unsigned; if not, withdraw the CDS now"),
            (REGISTRAR, "don't follow it until that is answered"),
        ),
        look=("dig ZONE CDS +short    # 0 0 0 00 asks for removal",),
        fix=(
            "Remove the CDS and CDNSKEY records and sign again.",
            "If it was planned: declare it (`--what unsign`), and accept it.",
            "If nobody did it: somebody can change the zone; look at the provider's account.",
        ),
        over=ACCEPTED,
    ),
    Code.CHANGE_DECLARED: Runbook(
        means="Somebody declared a change: within its window what it explains is reported as low.",
        who=((US, "see that whoever declared it may do so"),),
        look=("anchorwatch change list; anchorwatch acts",),
        fix=("If nobody knows of it: `anchorwatch change end ID`, and change the token.",),
        over=ACCEPTED,
    ),
    Code.SELF_CLOCK_JUMPED: Runbook(
        means="Our clock was set: what it said of signatures around that time may be wrong.",
        who=((US, "find out who or what set the clock"),),
        look=("journalctl -u chronyd -u systemd-timesyncd --since -1h", "date -u"),
        fix=(
            "Let the clock be slewed, not stepped (chrony: `makestep` only at the start).",
            "A virtual machine that was paused or moved jumps: give it time from its host.",
        ),
        over=ACCEPTED,
    ),
}
