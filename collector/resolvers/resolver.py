"""Ask one server, mostly a recursive resolver: UDP with fallback to TCP, TCP, DoT or DoH by URL.

Every query has a fresh random id and, by a fresh socket, a fresh random port; a UDP socket is connected, so answers
from elsewhere never arrive; the question must be echoed, in its letter case and with our cookie where the resolver
keeps them. What does not match is passed over and counted. The last try is over TCP, which an attacker who does not see
the packets can't forge.

Source: RFC 5452 §9 (matching), RFC 7873 (cookies), RFC 6891 §7 (resolvers without EDNS).
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from collector.dnssec.message import BADCOOKIE, FORMERR, NOERROR, NOTIMP, NXDOMAIN, FormError, Response, rcode_text
from collector.dnssec.names import Name
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.address import Address
from collector.resolvers.habits import Habits
from collector.resolvers.matching import ErrorHeader, Mismatch, Query, match_reply
from collector.resolvers.suspicion import Tally
from collector.resolvers.transport import Sockets, Transport
from schemas.egress import Egress

ATTEMPTS = 3
TIMEOUT_S = 1.5
# After so many replies that match nothing, one socket is waited on no longer: TCP is asked.
MOST_PASSED_OVER = 100

TryOutcome = Response | ErrorHeader | FetchFailure


@dataclass(slots=True)
class _Question:
    """One question over all its tries, and what was passed over meanwhile."""

    name: Name
    rdtype: int
    checking_disabled: bool
    edns: bool = True
    passed_over: int = 0
    last_mismatch: str = ""
    over_tcp: str = ""


Exchange = Callable[[Query, _Question], Awaitable[Response | ErrorHeader]]


class Resolver:
    """One resolver; safe to ask many things at once.

    ``timeout_s`` is for the first of ``attempts``; each further one waits twice as long. The last of several is over
    TCP. ``transport`` carries the queries, by default sockets of this machine. Without ``recursive`` it is an
    authoritative server, asked for what it knows by itself (RD=0). ``tally`` counts what is passed over, by default of
    this server alone; ``habits`` has what is known of it.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        max_in_flight: int = 256,
        egress: Egress | None = None,
        transport: Transport | None = None,
        recursive: bool = True,
        tally: Tally | None = None,
    ) -> None:
        self._recursive = recursive
        self.address = address
        self.tally = tally or Tally()
        self.habits = Habits(secrets.randbits, protects=address.scheme == "udp")
        self.timeout_s = timeout_s
        self._attempts = attempts
        self._slots = asyncio.Semaphore(max_in_flight)
        self._transport = transport or Sockets(address, egress or Egress(), patience_s=timeout_s * 4)

    async def ask(
        self,
        name: Name,
        rdtype: int,
        *,
        checking_disabled: bool = True,
        stream: bool = False,
        edns: bool = True,
        attempts: int | None = None,
        tried: int = 0,
    ) -> Reply:
        """Return the response, whatever its rcode, or why there is none.

        With ``stream`` a UDP resolver is asked over TCP at once; without ``edns`` as a plain client asks. ``attempts``
        limits the tries below those of the resolver; ``tried`` of them were made elsewhere, in vain.
        """
        question = _Question(name, rdtype, checking_disabled, edns)
        async with self._slots:
            return await self._ask(question, self._exchange_for(stream=stream), attempts or self._attempts, tried)

    async def _ask(self, question: _Question, exchange: Exchange, attempts: int, tried: int) -> Reply:
        failure = FetchFailure("timeout", "no answer")
        for attempt in range(tried, attempts):
            timeout_s = self.timeout_s * 2**attempt
            if attempt and exchange == self._over_udp and (attempt == attempts - 1 or question.passed_over):
                exchange = self._over_stream
            outcome = await self._try(exchange, question, timeout_s)
            if isinstance(outcome, Response) and outcome.truncated and exchange == self._over_udp:
                exchange = self._over_stream
                outcome = await self._try(exchange, question, timeout_s)
            if _is_refusal(outcome, question):
                return await self._settle(question, outcome, exchange)
            if isinstance(outcome, Response):
                return outcome
            assert isinstance(outcome, FetchFailure)
            if attempt and failure.kind == "timeout" and outcome.kind in ("unreachable", "malformed"):
                question.over_tcp = f"; over TCP: {outcome.detail}"
            else:
                failure = outcome
            if failure.kind == "unreachable":
                await asyncio.sleep(min(0.05 * 2**attempt, timeout_s))
        if exchange == self._over_udp and (question.passed_over or failure.kind == "rcode"):
            return await self._settle(question, failure, exchange)
        return self._told(question, failure, attempts)

    def _told(self, question: _Question, failure: FetchFailure, attempts: int) -> FetchFailure:
        """Return the failure with what came instead of an answer."""
        where = self.address.to_url()
        if question.passed_over and failure.is_silence:
            replies = "1 reply was" if question.passed_over == 1 else f"{question.passed_over} replies were"
            detail = f"no answer from {where}; {replies} passed over, the last one for: {question.last_mismatch}"
            return FetchFailure("mismatch", detail)
        if failure.kind == "timeout":
            tries = "1 try" if attempts == 1 else f"{attempts} tries"
            return FetchFailure("timeout", f"no answer from {where} in {tries}{question.over_tcp}")
        return failure

    async def _settle(self, question: _Question, outcome: TryOutcome, exchange: Exchange) -> Reply:
        """Ask over TCP what UDP has left open: an answer there counts; silence there leaves the first word."""
        if question.edns and _rcode_of(outcome) == FORMERR and self.habits.refuse_cookies():
            # "OPTION-CODE values not understood MUST be ignored" (RFC 6891 §6.1.2), and some do not.
            outcome = await self._try(exchange, question, self.timeout_s)
        if exchange == self._over_udp and not _is_answer(outcome, question):
            over_tcp = await self._try(self._over_stream, question, self.timeout_s)
            if not isinstance(over_tcp, FetchFailure):
                outcome = over_tcp
        if isinstance(outcome, FetchFailure):
            return self._told(question, outcome, 1)
        if not _is_refusal(outcome, question):
            assert isinstance(outcome, Response)
            return outcome
        return await self._refused(question, outcome, exchange)

    async def _refused(self, question: _Question, outcome: TryOutcome, exchange: Exchange) -> Reply:
        """Name the rcode; where EDNS is what the resolver can't do, say so. Source: RFC 6891 §7."""
        rcode = _rcode_of(outcome)
        where = self.address.to_url()
        detail = f"{where} answers {rcode_text(rcode)} and nothing else"
        if question.edns and rcode in (FORMERR, NOTIMP):
            plain = _Question(question.name, question.rdtype, question.checking_disabled, edns=False)
            reply = await self._try(exchange, plain, self.timeout_s)
            if isinstance(reply, Response) and reply.rcode in (NOERROR, NXDOMAIN):
                detail = (
                    f"{where} answers {rcode_text(rcode)} to EDNS, and answers without it: it can't carry DNSSEC"
                    " records (RFC 6891 §7)"
                )
        if isinstance(outcome, Response):
            return FetchFailure("rcode", detail, rcode, outcome.ede)
        return FetchFailure("rcode", detail, rcode)

    async def _try(self, exchange: Exchange, question: _Question, timeout_s: float) -> TryOutcome:
        """Ask once and return what came of it."""
        query = self.habits.query_for(
            question.name,
            question.rdtype,
            checking_disabled=question.checking_disabled,
            edns=question.edns,
            recursive=self._recursive,
        )
        self.tally.count_question(self._now())
        try:
            async with asyncio.timeout(timeout_s):
                outcome = await exchange(query, question)
        except TimeoutError:
            return FetchFailure("timeout", f"no answer from {self.address.to_url()}")
        except (OSError, UnicodeError) as error:
            said = getattr(error, "strerror", None) or error
            return FetchFailure("unreachable", f"{self.address.to_url()}: {said}")
        except Mismatch as error:
            self._pass_over(question, error)
            return FetchFailure("mismatch", f"{self.address.to_url()} sends no answer to the question: {error}")
        except FormError as error:
            return FetchFailure("malformed", f"{self.address.to_url()} sends no DNS message: {error}")
        if isinstance(outcome, Response):
            self.habits.learn(query, outcome, stream=exchange != self._over_udp)
            if outcome.rcode == BADCOOKIE:
                return FetchFailure("rcode", f"{self.address.to_url()} answers BADCOOKIE", BADCOOKIE)
        return outcome

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _pass_over(self, question: _Question, mismatch: Mismatch) -> None:
        self.tally.pass_over(mismatch.kind, self._now())
        self.habits.is_guessed_at = True
        question.passed_over += 1
        question.last_mismatch = str(mismatch)

    def _exchange_for(self, *, stream: bool) -> Exchange:
        return self._over_stream if stream or self.address.scheme != "udp" else self._over_udp

    async def _over_udp(self, query: Query, question: _Question) -> Response | ErrorHeader:
        case_kept, cookie_kept = self.habits.case_kept is True, self.habits.cookie_kept
        passed_over = 0
        async with contextlib.aclosing(self._transport.datagrams(query.wire)) as replies:
            async for wire in replies:
                try:
                    return match_reply(query, wire, case_kept=case_kept, cookie_kept=cookie_kept)
                except Mismatch as mismatch:
                    # A forger may be faster than the resolver: the true answer may still come.
                    self._pass_over(question, mismatch)
                    passed_over += 1
                    if passed_over == MOST_PASSED_OVER:
                        break
        raise TimeoutError

    async def _over_stream(self, query: Query, question: _Question) -> Response | ErrorHeader:
        return match_reply(query, await self._transport.stream(query.wire))


def _rcode_of(outcome: TryOutcome) -> int:
    if isinstance(outcome, FetchFailure):
        return outcome.rcode or NOERROR
    return outcome.rcode


def _is_refusal(outcome: TryOutcome, question: _Question) -> bool:
    """Return whether the resolver refuses without the question, or does not understand how it was asked."""
    if isinstance(outcome, Response):
        return question.edns and outcome.rcode in (FORMERR, NOTIMP) and not outcome.has_edns
    return isinstance(outcome, ErrorHeader)


def _is_answer(outcome: TryOutcome, question: _Question) -> bool:
    return isinstance(outcome, Response) and not outcome.truncated and not _is_refusal(outcome, question)
