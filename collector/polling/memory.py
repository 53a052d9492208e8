"""What the collector remembers of one endpoint between polls, and whether a poll changed anything."""

import msgspec

from collector.authorities.sweeps import NOWHERE, Trail
from collector.dnssec import names
from collector.dnssec.names import Name
from collector.dnssec.signatures import Signers
from collector.dnssec.skim import Imprint, says_the_same
from collector.polling.basis import Basis
from collector.polling.churn import Churn
from collector.polling.flood import Flood
from collector.polling.schedule import UNSCHEDULED
from schemas.codes import Code
from schemas.judgement import VALIDATED, Judgement, ResolverClaim, Verdict
from schemas.messages import Occasion, SignatureWindow
from schemas.wire import digest_of

NEVER = float("-inf")
UNSIGNED = (0, 0)


class PollTarget(msgspec.Struct, frozen=True, gc=False):
    """One endpoint through one vantage: the unit that is polled.

    There may be millions: what is kept of each leads to no cycle, and garbage collection, which stops the loop, passes
    it over.
    """

    name: Name
    rdtype: int
    vantage: str


class Memory(msgspec.Struct, gc=False, eq=False):
    """One endpoint through one vantage, and its last poll; known by identity.

    The verdict stands while a response says what ``imprint`` says, ``stands_until`` (POSIX seconds) lies ahead, and so
    does the end of ``basis``. Without a basis every response is to be validated. ``signed_content`` stands for an
    answer whatever its signature's times, empty where that is no matter of one signature. ``renewals`` are those of the
    basis that ``signings`` were noted for: the zones of the answer, and how each signed it.
    ``content`` is the digest of what would make a new observation. ``observed_at`` is monotonic, so that a clock that
    is set changes nothing. ``signed`` is from when to when the answer's signature is valid (POSIX seconds; zeros
    without one), ``zones`` those of the chain, ``trail`` what is swept for its sake.
    ``unanswered`` counts polls in a row without a reply. ``cause`` is what is wrong.
    ``claim`` and ``plain`` are what the resolver told its clients last, ``claim_mark`` and ``plain_mark`` stand for the
    responses that said so; for so many polls more as ``disputed`` says, it is asked again. ``flood`` is None until the
    first change.
    ``is_under_way``: a quick poll waits for its reply. ``has_missed``: the last one got no response.
    ``has_new_claim``: clients were told something else in a question beside the polls. ``due`` and ``usual`` are the
    schedule's.
    """

    target: PollTarget
    host: str = ""
    octets: bytes = b""
    imprint: Imprint | None = None
    stands_until: float = 0.0
    basis: Basis | None = None
    renewals: int = 0
    signed_content: bytes = b""
    signings: tuple[tuple[str, Signers], ...] = ()
    content: str = ""
    signed: tuple[int, int] = UNSIGNED
    zones: tuple[str, ...] = ()
    trail: Trail = NOWHERE
    verdict: Verdict | None = None
    observation: str = ""
    observed_at: float = NEVER
    polls: int = 0
    unanswered: int = 0
    claim: ResolverClaim | None = None
    plain: ResolverClaim | None = None
    claim_mark: bytes = b""
    plain_mark: bytes = b""
    answers: tuple[str, ...] = ()
    disputed: int = 0
    cause: tuple[str, ...] | None = None
    churn: Churn = msgspec.field(default_factory=Churn)
    is_under_way: bool = False
    has_missed: bool = False
    has_new_claim: bool = False
    due: int = UNSCHEDULED
    usual: int = UNSCHEDULED
    flood: Flood | None = None

    @property
    def is_watched(self) -> bool:
        """Return whether it is still in the inventory."""
        return self.due != UNSCHEDULED

    def says_the_same(self, wire: bytes, at: float) -> bool:
        """Return whether a response at ``at`` (POSIX seconds) says what was validated, and that stands."""
        return self.stands(at) and self.imprint is not None and says_the_same(self.imprint, wire)

    def stands_below(self, at: float) -> bool:
        """Return whether the chain that the answer rests on holds at ``at``, in POSIX seconds."""
        return self.basis is not None and at < self.basis.fresh_until

    def stands(self, at: float) -> bool:
        """Return whether a response like the last one needs no validation at ``at``, in POSIX seconds."""
        return self.basis is not None and at < self.stands_until and at < self.basis.fresh_until

    def is_calm(self, now: float) -> bool:
        """Return whether what changed all the time has come to rest, which is to be told; ``now`` is monotonic."""
        return self.churn.is_over(now) or (self.flood is not None and self.flood.is_over(now))

    def distrust(self) -> None:
        """Have the next poll validated and observed in full."""
        self.stands_until, self.observed_at = 0.0, NEVER

    def weigh(
        self, judgement: Judgement, now: float, *, refresh_s: float, most: int, of_verdict: bool
    ) -> tuple[Occasion | None, Judgement, bool]:
        """Return why a validated poll must become an observation, if it must, what it then says, and if it is withheld.

        ``most`` changes of data an hour are observed one by one; ``of_verdict``: not only the data changed.
        """
        change = decide_occasion(self, judgement, now, refresh_s)
        occasion, told = self.churn.weigh(judgement, change, self.observed_at, now, most)
        flood = self.flood
        if flood is not None and (flood.is_over(now) or flood.owes):
            occasion = Occasion.CHANGE  # what was withheld is no last word, however often it was there since
        if occasion is not Occasion.CHANGE:
            return occasion, told, False
        flood = self.flood = flood or Flood()
        new = set(judgement.answers) - set(self.answers)
        if not flood.may_tell(now, content_of(judgement), sorted(new), of_verdict=of_verdict):
            return None, told, True
        where = f"{judgement.name} {judgement.type}"
        zone = judgement.chain[-1].zone if judgement.chain else judgement.name
        if remarks := flood.name_withheld(zone, where, now):
            kept = tuple(one for one in told.remarks if one.code != Code.ANSWER_UNSTABLE)
            told = msgspec.structs.replace(told, remarks=(*kept, *remarks))
        return occasion, told, False


def signed_of(window: SignatureWindow | None) -> tuple[int, int]:
    """Return from when to when a signature is valid, in POSIX seconds; zeros without one."""
    if window is None:
        return UNSIGNED
    return int(window.inception_at.timestamp()), int(window.expires_at.timestamp())


def memory_of(target: PollTarget) -> Memory:
    """Return what is remembered of an endpoint before its first poll."""
    octets = names.to_wire(target.name) + target.rdtype.to_bytes(2, "big") + b"\0\1"
    return Memory(target, names.to_text(target.name), octets)


def contradicts(verdict: Verdict, claim: ResolverClaim | None) -> bool:
    """Return whether the resolver's claim does not go with our verdict, so that it should be asked anew.

    A resolver's caches lag behind a change, and what it claimed during one poll must not be held against it in the
    next.
    """
    if claim is None:
        return True
    match verdict:
        case Verdict.SECURE:
            return not claim.ad
        case Verdict.INSECURE:
            return claim.ad
        case Verdict.BOGUS:
            return claim.rcode != "SERVFAIL"
        case Verdict.INDETERMINATE:
            return False


def content_of(judgement: Judgement) -> str:
    """Return a digest of all that is worth an observation when it changes; times and TTLs are not in it."""
    parts: list[str] = [judgement.verdict, judgement.rcode]
    for reason in (*judgement.reasons, *judgement.remarks):
        parts += (reason.code, reason.zone, reason.rrset)
    parts += (*judgement.answers, "", *judgement.denies)
    for link in judgement.chain:
        parts += (link.zone, link.verdict)
    for alias in judgement.links:
        parts += (alias.name, alias.verdict, alias.target, alias.zone)
    for claim in filter(None, (judgement.resolver, judgement.plain)):
        parts += (str(claim.ad), claim.rcode, *claim.answers, *(str(code) for code, _ in claim.ede))
    return digest_of(*parts)


def decide_occasion(memory: Memory, judgement: Judgement, now: float, refresh_s: float) -> Occasion | None:
    """Return why a full validation must become an observation, None if it says what the last one said.

    A signature that was renewed changes nothing: its window goes with the poll.
    """
    if memory.verdict is None:
        return Occasion.FIRST
    if content_of(judgement) != memory.content:
        return Occasion.CHANGE
    if now - memory.observed_at >= refresh_s:
        return Occasion.REFRESH
    return None


def cause_of(judgement: Judgement) -> tuple[str, ...] | None:
    """Return what is wrong, as far as it decides whose polls confirm one finding; None for a secure verdict."""
    if judgement.verdict is Verdict.SECURE:
        return None
    codes = sorted({reason.code for reason in judgement.reasons})
    return (judgement.vantage, judgement.verdict, judgement.cause_zone, *codes)


def is_news(memory: Memory, judgement: Judgement, cause: tuple[str, ...] | None) -> bool:
    """Return whether something is wrong that was not before; insecure is no news but of what was secure."""
    if judgement.verdict is Verdict.INSECURE and memory.verdict is not Verdict.SECURE:
        return False
    return cause is not None and cause != memory.cause


def zone_turned(memory: Memory, judgement: Judgement, cause: tuple[str, ...] | None) -> str:
    """Return the zone that has just turned: to what is wrong with it, or back, or to data that it never gave before.

    Empty where none has. Data that are always new say nothing of their zone.
    """
    if is_news(memory, judgement, cause):
        return judgement.cause_zone
    if memory.churn.is_surprised(judgement) and judgement.links and judgement.links[-1].zone != ".":
        return judgement.links[-1].zone
    is_back = judgement.verdict in VALIDATED and memory.verdict in (
        Verdict.BOGUS,
        Verdict.INDETERMINATE,
    )
    return memory.cause[2] if is_back and memory.cause is not None else ""


def remember(memory: Memory, judgement: Judgement, observation: str, now: float) -> None:
    """Note what was observed; ``now`` is monotonic."""
    take_note(memory, judgement)
    memory.observation = observation
    memory.observed_at = now


def take_note(memory: Memory, judgement: Judgement) -> None:
    """Note what a validated poll said, observed or only counted."""
    memory.content = content_of(judgement)
    memory.answers = judgement.answers
    memory.verdict = judgement.verdict
