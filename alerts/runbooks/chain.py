"""Runbooks of the chain: trust anchor, DS, keys, cuts, aliases. Pure data."""

from alerts.runbooks.runbook import OWNER, PARENT, REGISTRAR, RESOLVER, SIGNER, SWEPT, US, Runbook
from alerts.runbooks.signatures import STRICT
from schemas.codes import Code

RUNBOOKS: dict[Code, Runbook] = {
    Code.DNSKEY_MISSING: Runbook(
        means=STRICT,
        who=(
            (SIGNER, "publish the key that the DS at the parent names"),
            (REGISTRAR, "replace the DS only if that key is lost for good"),
        ),
        look=("dig ZONE DS +short; dig @SERVER ZONE DNSKEY +multi    # compare the key tags", "anchorwatch zones ZONE"),
        fix=(
            "If the DNS provider was changed: bring the old key set back at the old servers, or publish both key sets (RFC 8901).",
            "If the key is lost: have the registrar publish the DS of the present key. Until the old DS has left the caches (its TTL, often a day) the zone fails.",
            "As a last resort have the DS removed: the zone is then unsigned, and the watch says so.",
        ),
    ),
    Code.DNSKEY_NOT_ZONE_KEY: Runbook(
        means=STRICT,
        who=((SIGNER, "publish keys of ZONE with the zone flag (256 or 257) and protocol 3"),),
        look=("dig @SERVER ZONE DNSKEY    # the flags are the first number",),
        fix=("Generate a proper key (`dnssec-keygen -f KSK`), sign, and replace the DS after its publication.",),
    ),
    Code.DNSKEY_REVOKED_IN_USE: Runbook(
        means="Resolvers that heed revocation (RFC 5011) treat ZONE as broken or unsigned.",
        who=((SIGNER, "sign ZONE with a key that is not revoked"), (REGISTRAR, "replace the DS of the revoked key")),
        look=("dig @SERVER ZONE DNSKEY    # flags 385 mean revoked",),
        fix=("Publish a new key and its DS, wait out the DS TTL, then withdraw the revoked key and its DS.",),
    ),
    Code.DS_DNSKEY_MISMATCH: Runbook(
        means=STRICT,
        who=(
            (SIGNER, "sign the key set of ZONE by a key that the DS names"),
            (REGISTRAR, "correct the DS if the signer can't"),
        ),
        look=(
            "dig ZONE DS +short; dig @SERVER ZONE DNSKEY +dnssec +multi",
            "dnssec-dsfromkey -2 -f DNSKEY-FILE ZONE    # the DS that would fit",
        ),
        fix=(
            "If a key was rolled too early: bring the old key back and sign the key set with both.",
            "If a wrong DS was entered: have the registrar replace it; see that digest and algorithm were copied whole.",
            "Afterwards wait out the DS TTL before anything else is changed.",
        ),
    ),
    Code.DS_ORPHAN: Runbook(
        means="Nothing fails while another DS fits; a resolver that only knows the orphan's algorithm sees ZONE as broken.",
        who=((REGISTRAR, "remove the DS of ZONE that has no key"),),
        look=("dig ZONE DS +short; dig ZONE DNSKEY +multi    # which tag has no key",),
        fix=("If a rollover is under way, publish the new key within the planned time; else remove the DS.",),
    ),
    Code.TRUST_ANCHOR_MISMATCH: Runbook(
        means="No name can be validated: either our trust anchor is wrong, or somebody presents another root.",
        who=(
            (US, "compare the configured trust anchor with the published one, by a second way"),
            (RESOLVER, "say which root your resolver asks"),
        ),
        look=(
            "anchorwatch validate . DNSKEY --resolver udp://ANOTHER",
            "compare with https://data.iana.org/root-anchors/root-anchors.xml, and its signature",
        ),
        fix=(
            "If other vantages validate: this one is given a forged or private root; take identities off it, and find out who answers.",
            "If none does: the root key was rolled and our anchor is old. Replace `trust_anchors.path` by anchors that you have checked by a second way.",
        ),
    ),
    Code.TRUST_ANCHOR_OUTDATED: Runbook(
        means="Nothing fails yet. When the root is signed by the new key alone, no name can be validated here.",
        who=((US, "check the new root key by a second way, and add it to the trust anchors"),),
        look=("dig . DNSKEY +multi", "https://data.iana.org/root-anchors/root-anchors.xml"),
        fix=(
            "Check digest and signature of the published anchors, then add the DS to `trust_anchors.path`; keep the old one.",
            "Do the same for your validating resolvers: `unbound-anchor`, BIND's managed keys.",
        ),
    ),
    Code.ALIAS_CHAIN_BROKEN: Runbook(
        means="NAME leads nowhere, or in a circle: clients can't connect.",
        who=((SIGNER, "correct the CNAME or DNAME that the detail names"),),
        look=("dig NAME A +trace", "anchorwatch validate NAME    # every step of the alias chain"),
        fix=(
            "Point the alias at a name that exists; a CNAME stands alone at its name, and a DNAME's target must fit into 255 octets.",
        ),
    ),
    Code.ALIAS_EXITS_SIGNED_SPACE: Runbook(
        means="NAME is signed as far as its alias; where that leads is not, so the address that clients get can be forged.",
        who=(
            (OWNER, "decide whether NAME may rest on an unsigned target"),
            (SIGNER, "ask the target's provider for DNSSEC, or point NAME at addresses in ZONE"),
        ),
        look=("anchorwatch validate NAME    # where the chain leaves signed space",),
        fix=(
            "Ask the CDN or provider whether it has a signed name for you.",
            "If it is accepted: `unsigned_alias_ok: true` at the endpoint in the inventory, with its `answers`, so that other targets are still told.",
        ),
    ),
    Code.EXPECTATION_MISSED: Runbook(
        means="NAME is not as its owner said that it must be: mostly unsigned where signed was expected.",
        who=(
            (SIGNER, "bring ZONE back to the verdict that the inventory expects"),
            (OWNER, "correct `expect` if it is wrong"),
        ),
        look=("anchorwatch why NAME", "anchorwatch history NAME    # since when"),
        fix=(
            "Look at the other findings of the incident: one of them says what changed.",
            "If the zone was never signed, correct the inventory.",
        ),
    ),
    Code.ENDPOINT_ABSENT: Runbook(
        means="NAME provably does not exist: clients can't connect, and whoever may register it could receive their credentials.",
        who=(
            (OWNER, "remove NAME from the client, or have it brought back"),
            (SIGNER, "restore the record if it was removed by mistake"),
        ),
        look=("dig NAME A", "anchorwatch history NAME    # when it was there last"),
        fix=(
            "If the service moved: change the client's configuration and the inventory.",
            "If the zone itself is no longer registered: register it before somebody else does, and rotate what was sent there.",
        ),
    ),
    Code.CDS_PENDING: Runbook(
        means="Nothing fails: ZONE asks its parent for a DS that is not there yet.",
        who=(
            (PARENT, "follow the CDS of ZONE, or say that it does not"),
            (SIGNER, "see whether the parent looks at CDS at all"),
        ),
        look=("dig ZONE CDS +short; dig ZONE DS +short",),
        fix=("If the registry does not follow CDS, give the registrar the DS by hand.",),
        over=SWEPT,
    ),
    Code.CDS_INVALID: Runbook(
        means="Nothing fails; the parent can't follow what ZONE asks for, so that its rollover does not go on.",
        who=((SIGNER, "publish a CDS set that matches a key of ZONE that signs"),),
        look=("dig ZONE CDS +dnssec; dig ZONE CDNSKEY +dnssec; dig ZONE DNSKEY +multi",),
        fix=(
            "Derive CDS and CDNSKEY from the key in use (`dnssec-settime -P sync`), and sign them by a key that the DS names.",
        ),
        over=SWEPT,
    ),
}
