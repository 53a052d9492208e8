"""The file of trust anchors: read at the start, and again whenever it changes."""

from pathlib import Path

from collector.dnssec.anchors import TrustAnchors, parse_anchors


def read_anchor_file(path: Path) -> TrustAnchors:
    """Return the anchors in a file.

    Raises:
        ValueError: it can't be read, is empty, or has a line that is no anchor; one sentence a line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_anchors(text, str(path))


class AnchorFile:
    """The file as it was looked at last; ``trouble`` says why it can't be used, empty while it can."""

    def __init__(self, path: Path, known: TrustAnchors) -> None:
        """``known`` is what was read at the start."""
        self.path, self.trouble = path, ""
        self._known = known

    def look(self) -> TrustAnchors | None:
        """Return the anchors if they are others than before; None where nothing changed, or they can't be used.

        The file is small, so it is read each time: a clock or a copy that keeps times can't hide a change.
        """
        try:
            anchors = read_anchor_file(self.path)
        except ValueError as error:
            self.trouble = "; ".join(str(error).splitlines())
            return None
        self.trouble = ""
        if anchors.fingerprint == self._known.fingerprint:
            return None
        self._known = anchors
        return anchors
