"""The chain as a picture: where each thing stands, from the anchor down to the answer, with the weak link marked. Pure.

Lengths are in the units of the drawing's own frame; the page scales it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from anchorwatch.web.chains import ZoneView
from anchorwatch.web.console.ages import say_left
from schemas.judgement import Judgement, Verdict, ZoneKey

WIDTH = 440
LEFT, RIGHT = 28, 432
PAD, LINE, CHIP = 10, 17, 20
GAP = 30
MOST_KEYS, MOST_DS, MOST_ANSWERS, MOST_LINKS = 6, 3, 4, 12
NAME_SIGNS, TEXT_SIGNS = 42, 58
ENTRY_POINT, REVOKED = 0x0001, 0x0080  # flags of a DNSKEY. Source: RFC 4034 §2.1.1, RFC 5011 §2.1
ALGORITHMS = {
    5: "RSA/SHA-1",
    7: "RSA/SHA-1 N3",
    8: "RSA/SHA-256",
    10: "RSA/SHA-512",
    13: "ECDSA P-256",
    14: "ECDSA P-384",
    15: "Ed25519",
    16: "Ed448",
}


@dataclass(frozen=True)
class Chip:
    """One key, or one DS record: ``signs`` the key set, or matches a key."""

    x: int
    y: int
    width: int
    text: str
    kind: str
    title: str


@dataclass(frozen=True)
class Bar:
    """What is left of a signature: the frame, the part that is left, and that in words."""

    x: int
    y: int
    width: int
    left: int
    text: str
    level: str


@dataclass(frozen=True)
class Text:
    """A line of text."""

    x: int
    y: int
    text: str
    kind: str = ""


@dataclass(frozen=True)
class Box:
    """One zone, or the answer: ``path`` is where its page is."""

    y: int
    height: int
    name: str
    full_name: str
    verdict: str
    path: str
    is_weak: bool = False
    chips: Sequence[Chip] = ()
    bar: Bar | None = None
    texts: Sequence[Text] = ()


@dataclass(frozen=True)
class Edge:
    """What leads from one box to the next: ``text`` says by what."""

    y1: int
    y2: int
    verdict: str
    text: str
    chips: Sequence[Chip] = ()


@dataclass
class Picture:
    """The whole drawing, and the same in a sentence."""

    width: int = WIDTH
    height: int = 0
    boxes: list[Box] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    sentence: str = ""


def shorten(text: str, most: int) -> str:
    """Return a text of at most so many signs; of a longer one the beginning and the end."""
    if len(text) <= most:
        return text
    end = most // 2 - 1
    return f"{text[: most - end - 1]}…{text[-end:]}"


def draw_chain(judgement: Judgement, chain: Sequence[ZoneView], now: datetime) -> Picture:
    """Return the picture of one judgement; ``chain`` has its zones, root first, as they were seen then."""
    picture = Picture()
    weak = _weak_zone(judgement, chain)
    y = 4
    y = _draw_anchor(picture, judgement, y)
    for place, zone in enumerate(chain):
        y = _draw_edge(picture, zone, y, place)
        y = _draw_zone(picture, zone, y, now, is_weak=place == weak)
    y = _draw_answer(picture, judgement, chain, y, is_weak=weak is None and judgement.verdict is not Verdict.SECURE)
    picture.height = y + 4
    picture.sentence = _say(judgement, chain, weak)
    return picture


def _weak_zone(judgement: Judgement, chain: Sequence[ZoneView]) -> int | None:
    """Return the place of the first zone that makes the verdict what it is, None where the answer itself does."""
    if judgement.verdict is Verdict.SECURE:
        return None
    return next((place for place, zone in enumerate(chain) if zone.verdict is judgement.verdict), None)


def _draw_anchor(picture: Picture, judgement: Judgement, y: int) -> int:
    known = f"fingerprint {judgement.trust_anchor[:16]}" if judgement.trust_anchor else "as configured"
    box = Box(
        y, 30, "trust anchor", "trust anchor", "anchor", "", texts=(Text(RIGHT - PAD, y + 20, known, "end faint"),)
    )
    picture.boxes.append(box)
    return y + 30


def _draw_edge(picture: Picture, zone: ZoneView, y: int, place: int) -> int:
    chips: list[Chip] = []
    tags = {key.tag for key in zone.keys}
    x = LEFT + 34
    for ds in zone.ds[:MOST_DS]:
        tag, text, title = _read_ds(ds)
        is_known = tag in tags or not zone.keys
        chips.append(Chip(x, y + 5, 104, text, "ds" if is_known else "ds lost", title))
        x += 110
    if len(zone.ds) > MOST_DS:
        more = f"+{len(zone.ds) - MOST_DS}"
        chips.append(Chip(x, y + 5, 34, more, "ds", "further DS records"))
    text = "" if chips else _say_without_ds(zone, place)
    picture.edges.append(Edge(y, y + GAP, str(zone.verdict), text, chips))
    return y + GAP


def _say_without_ds(zone: ZoneView, place: int) -> str:
    if place == 0:
        return ""
    if zone.verdict is Verdict.INSECURE:
        return "no DS: the parent proves that it is not signed"
    return {Verdict.SECURE: "DS as seen before", Verdict.BOGUS: "no DS that holds"}.get(zone.verdict, "not reached")


def _read_ds(text: str) -> tuple[int, str, str]:
    """Return tag, short and long words of a DS record in presentation format. Source: RFC 4034 §5.3."""
    parts = text.split()
    if len(parts) < 3 or not parts[0].isdigit() or not parts[1].isdigit():
        return -1, shorten(text, 14), text
    algorithm = ALGORITHMS.get(int(parts[1]), f"algorithm {parts[1]}")
    return int(parts[0]), f"DS {parts[0]} /{parts[2]}", f"DS {text} ({algorithm})"


def _draw_zone(picture: Picture, zone: ZoneView, y: int, now: datetime, *, is_weak: bool) -> int:
    top, texts = y, []
    y += 26
    chips = []
    if zone.keys:
        x, wanted = LEFT + PAD, _order_keys(zone)
        for key in wanted[:MOST_KEYS]:
            if x + 124 > RIGHT - 4:
                x, y = LEFT + PAD, y + CHIP + 4
            chips.append(_key_chip(key, zone, x, y))
            x += 128
        y += CHIP + 6
        if len(wanted) > MOST_KEYS:
            texts.append(Text(LEFT + PAD, y + 9, f"and {len(wanted) - MOST_KEYS} more keys", "faint"))
            y += LINE
    bar = None
    if (window := min(zone.windows, key=lambda one: one.expires_at, default=None)) is not None:
        lifetime = max((window.expires_at - window.inception_at).total_seconds(), 1.0)
        share = min(max((window.expires_at - now).total_seconds() / lifetime, 0.0), 1.0)
        level = "bogus" if not share else "insecure" if share < 0.1 else "secure"
        bar = Bar(LEFT + PAD, y + 2, 150, round(150 * share), say_left(window.expires_at, now), level)
        y += LINE
    if is_weak:
        for reason in (*zone.reasons, *zone.remarks)[:2]:
            texts.append(Text(LEFT + PAD, y + 12, shorten(reason.code.replace("_", " "), TEXT_SIGNS), "weak"))
            y += LINE
    height = max(y + 4 - top, 34)
    name = shorten(zone.zone, NAME_SIGNS)
    box = Box(top, height, name, zone.zone, str(zone.verdict), f"/zones/{zone.zone}", is_weak, chips, bar, texts)
    picture.boxes.append(box)
    return top + height


def _order_keys(zone: ZoneView) -> list[ZoneKey]:
    """Return the keys that sign the key set first, then the other entry points, then the rest."""
    return sorted(zone.keys, key=lambda key: (key.tag not in zone.signed_by, not key.flags & ENTRY_POINT, key.tag))


def role_of(key: ZoneKey) -> str:
    """Return what people call a key: KSK for a secure entry point, ZSK, or that it is revoked."""
    return "revoked" if key.flags & REVOKED else "KSK" if key.flags & ENTRY_POINT else "ZSK"


def _key_chip(key: ZoneKey, zone: ZoneView, x: int, y: int) -> Chip:
    role = role_of(key)
    signs = key.tag in zone.signed_by
    algorithm = ALGORITHMS.get(key.algorithm, f"algorithm {key.algorithm}")
    kind = "lost" if role == "revoked" else "signer" if signs else "key"
    size = f", {key.bits} bit" if key.bits else ""
    title = f"{role} {key.tag}, {algorithm}{size}" + (", signs the key set" if signs else "")
    return Chip(x, y, 122, f"{'✎ ' if signs else ''}{role} {key.tag}", kind, title)


def _draw_answer(picture: Picture, judgement: Judgement, chain: Sequence[ZoneView], y: int, *, is_weak: bool) -> int:
    links = judgement.links[:MOST_LINKS]
    for place, link in enumerate(links):
        unsigned = "not signed" if link.verdict is Verdict.INSECURE else ""
        signed = f"signed by key {link.signed_by[0]}" if link.signed_by else unsigned
        verdict = link.verdict
        picture.edges.append(Edge(y, y + GAP, str(verdict), signed))
        y += GAP
        is_last = place == len(links) - 1
        texts = []
        height = 28
        if link.target:
            texts.append(Text(LEFT + PAD, y + 40, shorten(f"→ {link.target}", TEXT_SIGNS), "mono"))
            height += LINE
        if is_last:
            shown = [answer.split(" ", 2)[-1] for answer in judgement.answers if f" {link.type} " in answer]
            lines = shown[:MOST_ANSWERS] or [_say_nothing(judgement)]
            if len(shown) > MOST_ANSWERS:
                lines.append(f"and {len(shown) - MOST_ANSWERS} more")
            for line in lines:
                height += LINE
                texts.append(Text(LEFT + PAD, y + height - 6, shorten(line, TEXT_SIGNS), "mono"))
        weak = is_weak and link.verdict is judgement.verdict
        if weak:
            is_weak = False
            for reason in judgement.reasons[:2]:
                height += LINE
                texts.append(
                    Text(LEFT + PAD, y + height - 6, shorten(reason.code.replace("_", " "), TEXT_SIGNS), "weak")
                )
        name = shorten(f"{link.name} {link.type}", NAME_SIGNS)
        box = Box(y, height + 4, name, link.name, str(verdict), "", weak, texts=texts)
        picture.boxes.append(box)
        y += height + 4
    if not links:
        picture.edges.append(Edge(y, y + GAP, str(judgement.verdict), _say_nothing(judgement)))
        y += GAP
        name = shorten(f"{judgement.name} {judgement.type}", NAME_SIGNS)
        picture.boxes.append(Box(y, 34, name, judgement.name, str(judgement.verdict), "", is_weak and not chain))
        y += 34
    return y


def _say_nothing(judgement: Judgement) -> str:
    if judgement.answers:
        return judgement.answers[0].split(" ", 2)[-1]
    if judgement.verdict in (Verdict.BOGUS, Verdict.INDETERMINATE):
        return f"no answer that counts ({judgement.rcode})"
    return "it does not exist" if judgement.rcode == "NXDOMAIN" else f"no {judgement.type} record"


def _say(judgement: Judgement, chain: Sequence[ZoneView], weak: int | None) -> str:
    """Return the picture in a sentence, for who does not see it."""
    path = " to ".join(f"{zone.zone} ({zone.verdict})" for zone in chain)
    said = f"The chain of {judgement.name} {judgement.type}, from the anchor: {path or 'no zone was reached'}."
    if weak is not None:
        codes = ", ".join(dict.fromkeys(reason.code for reason in judgement.reasons))
        said += f" The weak link is {chain[weak].zone}" + (f": {codes}." if codes else ".")
    return f"{said} The answer is {judgement.verdict}."
