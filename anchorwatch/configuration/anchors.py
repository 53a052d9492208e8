"""``trust_anchors``: what validation starts from."""

from pathlib import Path

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Section
from collector.anchor_file import read_anchor_file
from collector.dnssec.anchors import IANA, TrustAnchors, parse_anchors


class AnchorsSection(Section, frozen=True, kw_only=True):
    """Where the trust anchors are."""

    path: str


def read_anchors(section: AnchorsSection | None, base: Path, document: Document) -> TrustAnchors:
    """Return the anchors of the file, the shipped ones where none is named."""
    if section is None:
        return parse_anchors(IANA, "shipped")
    try:
        return read_anchor_file(base / section.path)
    except ValueError as error:
        for line in str(error).splitlines():
            document.problem("trust_anchors.path", line)
        return TrustAnchors({})
