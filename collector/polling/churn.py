"""Answers that change all the time: counted, not stored one by one.

Only data may churn, and only data that are proven or that the name had before: whatever else changes is observed at
once, so that nothing can hide behind churn.
"""

import msgspec

from schemas.codes import Code
from schemas.judgement import Judgement, Reason, ResolverClaim, Verdict
from schemas.messages import Occasion
from schemas.wire import digest_of

SPAN_S = 3600.0
MOST_LEARNT = 512
FEW_CHANGES = 3
"""A subject whose answers change more often within an hour is a pool, of which a new record says nothing."""


class Churn(msgspec.Struct, gc=False):
    """The changes of one subject within the last hour, and the records that it ever had (of the newest some hundred).

    ``state`` and ``data`` are digests of the last poll; ``counted`` are the changes since the state began.
    """

    state: str = ""
    data: str = ""
    is_unstable: bool = False
    counted: int = 0
    changed_at: tuple[float, ...] = ()
    learnt: dict[str, None] = {}

    def is_over(self, now: float) -> bool:
        """Return whether the answers were unstable and have been calm for an hour."""
        if not self.is_unstable:
            return False
        self._drop_old(now)
        return not self.changed_at

    def is_surprised(self, judgement: Judgement) -> bool:
        """Return whether a judgement has data that were never seen of a subject whose answers change seldom."""
        if not self.learnt or len(self.changed_at) >= FEW_CHANGES:
            return False
        return any(_short(record) not in self.learnt for record in judgement.answers)

    def weigh(
        self, judgement: Judgement, occasion: Occasion | None, observed_at: float, now: float, most: int
    ) -> tuple[Occasion | None, Judgement]:
        """Return why a validated poll must become an observation (None: it is counted only), and what it then says.

        ``occasion`` is why it would become one without churn, ``observed_at`` when the last one was made, ``most`` how
        many changes an hour are observed one by one. Instants are monotonic seconds.
        """
        state, data = state_of(judgement), _short(*_data_of(judgement))
        same_state = self.state == state
        if self.state and same_state and self.data != data:
            self.counted += 1
            self.changed_at = (*self.changed_at, now)
        is_trusted = self._is_trusted(judgement)
        self.state, self.data = state, data
        self._learn(judgement)
        self._drop_old(now, keep=most + 1)
        if not self.is_unstable and len(self.changed_at) > most:
            self.is_unstable = True
            return Occasion.CHANGE, self._remarked(judgement)
        if not self.is_unstable:
            return occasion, judgement
        if not self.changed_at:
            self.is_unstable, self.counted = False, 0
            return Occasion.CHANGE, judgement
        if occasion is Occasion.CHANGE and same_state and is_trusted:
            occasion = None if now - observed_at < SPAN_S else Occasion.REFRESH
        return occasion, self._remarked(judgement)

    def _is_trusted(self, judgement: Judgement) -> bool:
        """Return whether the data are proven or were there before, and clients of the resolver get no others."""
        claimed = [answer for claim in _claims_of(judgement) if not claim.proven for answer in claim.answers]
        proven = set(judgement.answers) if judgement.verdict is Verdict.SECURE else set()
        records = {*judgement.answers, *claimed} - proven
        return all(_short(record) in self.learnt for record in records)

    def _drop_old(self, now: float, keep: int | None = None) -> None:
        if self.changed_at:
            recent = tuple(at for at in self.changed_at if now - at < SPAN_S)
            self.changed_at = recent if keep is None else recent[-keep:]

    def _learn(self, judgement: Judgement) -> None:
        for record in judgement.answers:
            digest = _short(record)
            self.learnt.pop(digest, None)
            self.learnt[digest] = None
        while len(self.learnt) > MOST_LEARNT:
            del self.learnt[next(iter(self.learnt))]

    def _remarked(self, judgement: Judgement) -> Judgement:
        """Return the judgement with the remark that its data stand for many."""
        where = f"{judgement.name} {judgement.type}"
        zone = judgement.chain[-1].zone if judgement.chain else judgement.name
        detail = f"the answer for {where} changed {self.counted} times; while this goes on, changes are only counted"
        remark = Reason(Code.ANSWER_UNSTABLE, zone, detail, None, where)
        return msgspec.structs.replace(judgement, remarks=(*judgement.remarks, remark))


def _data_of(judgement: Judgement) -> tuple[str, ...]:
    return (*judgement.answers, *(answer for claim in _claims_of(judgement) for answer in claim.answers))


def _claims_of(judgement: Judgement) -> list[ResolverClaim]:
    return [claim for claim in (judgement.resolver, judgement.plain) if claim is not None]


def _short(*parts: str) -> str:
    return digest_of(*parts)[:32]


def state_of(judgement: Judgement) -> str:
    """Return a digest of all but the data: verdict, reasons, chain, keys, aliases, how the resolver's claims went."""
    parts: list[str] = [judgement.verdict, judgement.rcode, *judgement.denies]
    for reason in (*judgement.reasons, *judgement.remarks):
        parts += (reason.code, reason.zone, reason.rrset)
    for link in judgement.chain:
        parts += (link.zone, link.verdict)
    for alias in judgement.links:
        parts += (alias.name, alias.verdict, alias.target, alias.zone)
    for claim in _claims_of(judgement):
        parts += (str(claim.ad), claim.rcode, *(str(code) for code, _ in claim.ede))
    return digest_of(*parts)[:32]
