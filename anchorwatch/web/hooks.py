"""What receivers tell us of people, by calling us: which receivers may, and what all of their calls come to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from alerts.decision.deeds import source_of_receiver
from alerts.receivers.receiver import Receiver
from anchorwatch.web.doors import Refused
from schemas.messages import ActKind

MAX_BODY = 262_144
MOST_SIGNS = 100


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody did there: ``event`` names it for ever, ``receiver`` is where."""

    event: str
    kind: ActKind
    incident: str
    by: str
    why: str
    receiver: str

    @property
    def source(self) -> str:
        """Return the source of the act that comes of it."""
        return source_of_receiver(self.receiver)


@dataclass(frozen=True, slots=True)
class Hook:
    """One receiver that may call us: whose it is, and the secret that it and we have."""

    vendor: str
    secret: str = field(repr=False)


Reader = Callable[[str, str, Mapping[str, str], bytes], Said | None]
"""Takes the secret, the receiver, headers in lower case, and the body.

Raises:
    Refused: it is not from there, or no event.
"""


def hooks_of(receivers: Iterable[Receiver]) -> dict[str, Hook]:
    """Return the receivers that may call us, by name."""
    found = ((one.name, Hook(*one.hook)) for one in receivers if one.hook is not None)
    return {name: hook for name, hook in found if hook.secret}


def find_hook(hooks: Mapping[str, Hook], receiver: str, vendor: str) -> Hook:
    """Return the hook of a receiver.

    Raises:
        Refused: it expects no calls of this vendor.
    """
    hook = hooks.get(receiver)
    if hook is None or hook.vendor != vendor:
        raise Refused("no receiver of this name expects calls", 404)
    return hook


def name_of(text: str, otherwise: str) -> str:
    """Return who did something, as far as that can be printed."""
    return "".join(sign for sign in text if sign.isprintable())[:MOST_SIGNS].strip() or otherwise
