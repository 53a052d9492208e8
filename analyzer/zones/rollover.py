"""What kind of change a zone's keys went through.

Source: RFC 6781 §4.1 (kinds of rollover), §4.3 (emergencies), RFC 7583 §2, RFC 5011 §2.1 (revocation).
"""

from dataclasses import dataclass

from schemas.codes import Code
from schemas.judgement import ChainLink, ZoneKey

SEP = 0x0001
REVOKE = 0x0080


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A classified change: ``code`` is key_rollover or key_change_unexpected; before and after list the keys."""

    code: Code
    scheme: str
    detail: str
    before: str
    after: str


def classify_key_change(earlier: ChainLink, later: ChainLink) -> KeyChange:
    """Classify the step between two key sets of one secure zone; a rollover is several such steps.

    Unexpected is only the replacement of every secure-entry key together with the whole DS set: each safe rollover
    leaves one or the other in place at every moment.
    """
    scheme = _scheme(earlier, later)
    before, after = _describe(earlier.keys), _describe(later.keys)
    if scheme == "replaced_without_overlap":
        detail = (
            f"{later.zone}: secure-entry keys and DS set were replaced together, without overlap: {before} → {after}"
        )
        return KeyChange(Code.KEY_CHANGE_UNEXPECTED, scheme, detail, before, after)
    return KeyChange(Code.KEY_ROLLOVER, scheme, f"{later.zone}: {scheme}: {before} → {after}", before, after)


def _scheme(earlier: ChainLink, later: ChainLink) -> str:
    old, new = _by_digest(earlier.keys), _by_digest(later.keys)
    if any(new[digest].flags & REVOKE and not old[digest].flags & REVOKE for digest in set(old) & set(new)):
        return "revoke"
    old_entry, new_entry = _entries(earlier), _entries(later)
    if old_entry and new_entry and not old_entry & new_entry and not set(earlier.ds) & set(later.ds):
        return "replaced_without_overlap"
    algorithms = {key.algorithm for key in earlier.keys}, {key.algorithm for key in later.keys}
    if algorithms[0] != algorithms[1]:
        # RFC 6781 §4.1.4: the conservative way signs with the new algorithm before it shows the key.
        return "algorithm_conservative" if algorithms[0] & algorithms[1] else "algorithm_liberal"
    if old_entry != new_entry:
        if not any(not key.flags & SEP for key in (*earlier.keys, *later.keys)):
            return "csk"
        return "ksk_double_ds" if earlier.ds != later.ds else "ksk_double_key"
    gone, came = set(old) - set(new), set(new) - set(old)
    return "zsk_double_signature" if gone and came else "zsk_prepublish"


def _by_digest(keys: tuple[ZoneKey, ...]) -> dict[str, ZoneKey]:
    return {key.digest: key for key in keys}


def _entries(link: ChainLink) -> set[str]:
    """Return the keys that the DS set can point at: those with the SEP bit, or all where none has it."""
    marked = {key.digest for key in link.keys if key.flags & SEP}
    return marked or {key.digest for key in link.keys}


def _describe(keys: tuple[ZoneKey, ...]) -> str:
    return ", ".join(map(_describe_key, keys))


def _describe_key(key: ZoneKey) -> str:
    role = "KSK" if key.flags & SEP else "ZSK"
    return f"{role} {key.tag} (algorithm {key.algorithm}{', revoked' if key.flags & REVOKE else ''})"
