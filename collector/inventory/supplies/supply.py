"""What a source delivers. Pure."""

from dataclasses import dataclass
from typing import Protocol

from collector.inventory.formats.known import Document


@dataclass(frozen=True, slots=True)
class Delivery:
    """The documents of a source as they are now, in a stable order.

    unread: the names of those that can't be read, each with a sentence.
    notes: sentences on what is there and is not read by its nature.
    written_ns: when the newest of them was written, in POSIX nanoseconds.
    stamp: what ``Supply.stamp`` returns while this is what there is; None: whoever reads has asked before.
    """

    documents: tuple[Document, ...]
    unread: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    written_ns: int = 0
    stamp: object = None


class Supply(Protocol):
    """A place that documents come from."""

    def stamp(self) -> object:
        """Return what changes when the documents do, None while there are none; does not wait for anybody."""
        ...

    def read(self) -> Delivery:
        """Return the documents; may block.

        Raises:
            ValueError: nothing of it can be read; the sentence has the place.
        """
        ...
