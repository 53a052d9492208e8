"""What kind of change the keys of a zone went through from one sight to the next.

Source: RFC 6781 §4.1 (kinds of rollover), §4.3 (emergencies), RFC 7583 §2, RFC 5011 §2.1 (revocation).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.codes import Code
from schemas.judgement import ChainLink, ZoneKey

Signers = tuple[tuple[int, int], ...]
"""The keys, by tag and algorithm, that signed data of a zone together."""

SEP = 0x0001
REVOKE = 0x0080
UNEXPECTED, DISCONTINUED = "replaced_without_overlap", "discontinued"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A classified change: ``code`` is key_rollover or key_change_unexpected; before and after list the keys."""

    code: Code
    scheme: str
    detail: str
    before: str
    after: str


def classify_key_change(
    earlier: ChainLink, later: ChainLink, *, signed: Iterable[Signers] = (), signs: Iterable[Signers] = ()
) -> KeyChange:
    """Classify the step between two key sets of one secure zone; a rollover is several such steps.

    ``signed`` and ``signs`` are the keys that signed data of the zone before and after the step. Unexpected is a change
    after which nothing that was trusted before vouches for anything: each safe rollover leaves secure-entry keys, DS
    records or the keys that sign the data in place at every moment.
    """
    scheme = _scheme(earlier, later, tuple(signed), tuple(signs))
    before, after = describe_keys(earlier.keys), describe_keys(later.keys)
    if scheme == UNEXPECTED:
        detail = (
            f"{later.zone}: secure-entry keys and DS set were replaced together, without overlap: {before} → {after}"
        )
        return KeyChange(Code.KEY_CHANGE_UNEXPECTED, scheme, detail, before, after)
    if scheme == DISCONTINUED:
        detail = (
            f"{later.zone}: no key of before is in use any more, and none of those in use was seen: {before} → {after}"
        )
        return KeyChange(Code.KEY_CHANGE_UNEXPECTED, scheme, detail, before, after)
    return KeyChange(Code.KEY_ROLLOVER, scheme, f"{later.zone}: {scheme}: {before} → {after}", before, after)


def _scheme(earlier: ChainLink, later: ChainLink, signed: tuple[Signers, ...], signs: tuple[Signers, ...]) -> str:
    old, new = _by_digest(earlier.keys), _by_digest(later.keys)
    old_entry, new_entry = _entries(earlier), _entries(later)
    # A revoked key vouches for nothing (RFC 5011 §2.1): that it is still listed is no overlap.
    trusted = new_entry - {key.digest for key in later.keys if key.flags & REVOKE}
    if old_entry and new_entry and not old_entry & trusted and not set(earlier.ds) & set(later.ds):
        return UNEXPECTED
    if old and new and not _is_continued(earlier, later, signs):
        return DISCONTINUED
    if any(new[digest].flags & REVOKE and not old[digest].flags & REVOKE for digest in set(old) & set(new)):
        return "revoke"
    algorithms = {key.algorithm for key in earlier.keys}, {key.algorithm for key in later.keys}
    if algorithms[0] != algorithms[1]:
        # RFC 6781 §4.1.4: the conservative way signs with the new algorithm before it shows the key, and still signs
        # with the old one when that key is gone.
        others = algorithms[0] ^ algorithms[1]
        known = {algorithm for signers in (*signed, *signs) for _, algorithm in signers if len(signers) > 1}
        return "algorithm_conservative" if others <= known or not known else "algorithm_liberal"
    if old_entry != new_entry:
        if not any(not key.flags & SEP for key in (*earlier.keys, *later.keys)):
            return "csk"
        return "ksk_double_ds" if _has_ds_beforehand(earlier, later) else "ksk_double_key"
    came = {(new[digest].tag, new[digest].algorithm) for digest in set(new) - set(old)}
    gone = {(old[digest].tag, old[digest].algorithm) for digest in set(old) - set(new)}
    together = any(came & set(signers) and set(signers) - came for signers in signs)
    together = together or any(gone & set(signers) and set(signers) - gone for signers in signed)
    return "zsk_double_signature" if together or (came and gone) else "zsk_prepublish"


def _is_continued(earlier: ChainLink, later: ChainLink, signs: tuple[Signers, ...]) -> bool:
    """Return whether a key that was in the key set before vouches for what is there now: it signs the key set, or data.

    A key that is listed and signs nothing vouches for nothing, and signatures from before the step are no proof: so all
    data that keys of now sign must have the signature of a known one. Where no data were seen that can't be known, and
    it is enough that some key is still there.
    """
    known = _known_ids(earlier.keys, later.keys)
    if any(tag in later.signed_by for tag, _ in known):
        return True
    present = {(key.tag, key.algorithm) for key in later.keys}
    fresh = [set(signers) for signers in signs if present & set(signers)]
    if not fresh:
        return bool(known) or bool(set(earlier.ds) & set(later.ds))
    return all(signers & known for signers in fresh)


def _known_ids(old: tuple[ZoneKey, ...], new: tuple[ZoneKey, ...]) -> set[tuple[int, int]]:
    """Return by tag and algorithm the keys of now that were there before and are not revoked.

    A tag that a new key bears, too, of whatever algorithm, identifies none: it takes seconds to make such a key.
    Source: RFC 4034 App. B.
    """
    before = _by_digest(old)
    known = {(key.tag, key.algorithm) for key in new if key.digest in before and not key.flags & REVOKE}
    shared = {key.tag for key in new if key.digest not in before}
    return {one for one in known if one[0] not in shared}


def _has_ds_beforehand(earlier: ChainLink, later: ChainLink) -> bool:
    """Return whether the DS of a secure-entry key that came was at the parent before the key was published."""
    came = _entries(later) - _entries(earlier)
    tags = {(key.tag, key.algorithm) for key in later.keys if key.digest in came}
    return bool(tags & {id_of_ds(ds) for ds in earlier.ds})


def id_of_ds(ds: str) -> tuple[int, int]:
    """Return the tag and the algorithm of the key that a DS record (in presentation format) points at."""
    tag, algorithm, *_ = ds.split()
    return int(tag), int(algorithm)


def _by_digest(keys: tuple[ZoneKey, ...]) -> dict[str, ZoneKey]:
    return {key.digest: key for key in keys}


def touches_entry(earlier: ChainLink, later: ChainLink) -> bool:
    """Return whether the secure-entry keys, or the DS set, are others than before."""
    return _entries(earlier) != _entries(later) or set(earlier.ds) != set(later.ds)


def _entries(link: ChainLink) -> set[str]:
    """Return the digests of the secure-entry keys."""
    return {key.digest for key in entry_keys(link.keys)}


def entry_keys(keys: tuple[ZoneKey, ...]) -> tuple[ZoneKey, ...]:
    """Return the keys that a DS set can point at: those with the SEP bit, or all where none has it."""
    return tuple(key for key in keys if key.flags & SEP) or keys


def describe_keys(keys: tuple[ZoneKey, ...]) -> str:
    """Return keys for people."""
    return ", ".join(map(describe_key, keys))


def describe_key(key: ZoneKey) -> str:
    """Return one key for people: its role, tag and algorithm."""
    role = "KSK" if key.flags & SEP else "ZSK"
    return f"{role} {key.tag} (algorithm {key.algorithm}{', revoked' if key.flags & REVOKE else ''})"
