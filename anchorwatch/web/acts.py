"""``POST /api/v1/acts``: what somebody does: declares a change, accepts a drift, takes an incident, notes something.

What can be taken is handed on as an act, to the stage that handles its kind; it is kept with who did it, from where,
and why.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request

from alerts.ledger.ledger import Record
from analyzer.findings.acts import STANDING, Acts, acceptance_of, check_acceptance
from analyzer.findings.changes import DeclaredChange, Plan, check_change, check_words, end_of
from analyzer.history.clickhouse import ClickHouseHistory
from anchorwatch.configuration.values import parse_duration
from anchorwatch.web.deeds import make_deed
from anchorwatch.web.doors import BadQuery, Bucket, NotHere, Refused
from anchorwatch.web.guard import peer_of
from anchorwatch.web.hooks import Said
from anchorwatch.web.incidents import find_incident, is_hex
from anchorwatch.web.people import Person, person_of
from anchorwatch.web.queries import find_findings, read_name
from anchorwatch.web.silences import find_silence, make_expiry, make_new_silence
from anchorwatch.web.threads import Threads
from schemas.catalogue import Kind
from schemas.cause import owner_of
from schemas.messages import Act, Finding, Message, utc
from schemas.wire import digest_of

MAX_BODY = 16_384
FORM = "application/x-www-form-urlencoded"
ACTS_AT_ONCE, ACT_EVERY_S = 50, 1.0
ACCEPTED_BACK_TO = timedelta(days=30)
MOST_OF_A_NAME = 10_000
Send = Callable[[Sequence[Message]], Awaitable[None]]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class ActBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for: ``subject`` is a zone or a name, or the id of a change, a finding, an incident or a silence.

    ``yes`` says that a silence may match nearly everything. ``by`` counts only where nobody vouches for who asks.
    """

    kind: Literal[
        "declare_change", "end_change", "accept", "acknowledge", "reopen", "note", "silence", "expire_silence"
    ]
    subject: str = ""
    by: str = ""
    why: str = ""
    what: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    matchers: tuple[str, ...] = ()
    begins_at: Instant | None = None
    ends_at: Instant | None = None
    yes: bool = False


class Desk:
    """Takes what people do; ``send`` hands acts to the stages that handle them, wherever those are.

    ``history`` and ``ledger`` are None where another process has them.
    """

    def __init__(
        self,
        send: Send,
        *,
        history: ClickHouseHistory | None,
        of_history: Threads,
        ledger: Record | None,
        of_ledger: Threads,
    ) -> None:
        self._given_history, self._of_history, self._send = history, of_history, send
        self._given_ledger, self._of_ledger = ledger, of_ledger
        self._bucket = Bucket(ACTS_AT_ONCE, ACT_EVERY_S)

    @property
    def _history(self) -> ClickHouseHistory:
        if self._given_history is None:
            raise NotHere("this is another process: ask the analyzer")
        return self._given_history

    @property
    def _ledger(self) -> Record:
        if self._given_ledger is None:
            raise NotHere("this is another process: ask the alerts stage")
        return self._given_ledger

    async def take(self, request: Request) -> list[Act]:
        """Hand on what a request asks for; return the acts, those of before where it was done before.

        Raises:
            Refused: it can't be done.
            Transient: the history, the ledger or the bus does not answer.
        """
        return await self.take_body(await _read_body(request), source_of("API", request))

    async def take_hook(self, said: Said) -> list[Act]:
        """Hand on what somebody did at a receiver.

        Nothing where its incident is over or already so, and where the receiver was never told of it: a secret of one
        receiver must not answer for what only others were told.
        """
        try:
            incident = await self._of_ledger.ask(find_incident, self._ledger, said.incident)
            now = utc(time.time())
            act = make_deed(incident, said.kind, by=said.by, why=said.why, at=now, source=said.source)
        except Refused:
            return []
        if said.receiver not in incident.notified:
            return []
        taken = incident.acknowledged
        if said.kind == "acknowledge" and taken is not None and (taken.by, taken.source) == (said.by, said.source):
            return []
        act = msgspec.structs.replace(act, id=digest_of("hook", said.source, said.event)[:32])
        await self._send([act])
        return [act]

    async def take_body(self, body: ActBody, source: str) -> list[Act]:
        """Hand on what is asked for; ``source`` says through which door it came.

        Raises:
            Refused: it can't be done.
            Transient: the history, the ledger or the bus does not answer.
        """
        wait_s = self._bucket.take(time.monotonic())
        if wait_s:
            raise Refused("too many acts at once", 429, retry_after=str(int(wait_s) + 1))
        now = utc(time.time())
        match body.kind:
            case "acknowledge" | "reopen" | "note":
                incident = await self._of_ledger.ask(find_incident, self._ledger, body.subject)
                acts = [make_deed(incident, body.kind, by=body.by, why=body.why, at=now, source=source)]
            case "silence":
                silences = await self._of_ledger.ask(self._ledger.silences)
                times = (body.begins_at or now, body.ends_at)
                acts = [make_new_silence(body.matchers, *times, body.by, body.why, now, source, silences, yes=body.yes)]
            case "expire_silence":
                silences = await self._of_ledger.ask(self._ledger.silences)
                acts = [make_expiry(find_silence(silences, body.subject), body.by, body.why, now, source)]
            case _:
                acts = await self._of_watch(body, source, now)
        for act in acts:
            if problems := check_words(act):
                raise BadQuery("; ".join(problems))
        await self._send(acts)
        return acts

    async def _of_watch(self, body: ActBody, source: str, now: datetime) -> list[Act]:
        """Return the acts that change what the analyzer makes of changes."""
        known = Acts(await self._of_history.ask(self._history.standing_acts, STANDING))
        match body.kind:
            case "accept":
                acts = await self._accept(body, source, now)
            case "declare_change":
                acts = [_declare(body, source, now, known)]
            case _:
                acts = [_end(body, source, now, known)]
        for act in acts:
            if problems := check_words(act) or known.put(act):
                raise BadQuery("; ".join(problems))
        return acts

    async def _accept(self, body: ActBody, source: str, now: datetime) -> list[Act]:
        found = await self._of_history.ask(find_findings, self._history, body.subject)
        if not found and self._given_ledger is not None and is_hex(body.subject):
            drifts = await self._of_ledger.ask(_drifts_of, self._ledger, body.subject)
            found = await self._of_history.ask(self._history.findings_of, drifts) if drifts else []
        if not found:
            found = await self._at_name(read_name(body.subject, "subject"), now)
        triggers = await self._of_history.ask(self._history.first_triggers, [finding.id for finding in found])
        judgements = await self._of_history.ask(self._history.judgements_of, sorted(set(triggers.values())))
        acts = []
        for finding in found:
            judged = judgements.get(triggers.get(finding.id, ""))
            act = acceptance_of(finding, judged, by=body.by, why=body.why, at=now, source=source)
            if problems := check_acceptance(act, finding):
                raise Refused("; ".join(problems), 409)
            acts.append(act)
        return acts

    async def _at_name(self, name: str, now: datetime) -> list[Finding]:
        """Return the drifts of the last 30 days at a name or of a zone that nobody accepted.

        Raises:
            Refused: there is none.
        """
        found = await self._of_history.ask(
            self._history.findings, status="open", since=now - ACCEPTED_BACK_TO, limit=MOST_OF_A_NAME
        )
        drifts = [
            one for one in found if one.kind is Kind.DRIFT and name == (owner_of(one.cause_rrset) or one.cause_zone)
        ]
        if not drifts:
            days = ACCEPTED_BACK_TO.days
            raise Refused(
                f"no change at {name} waits to be accepted; changes of the last {days} days are looked at", 404
            )
        return drifts


def _drifts_of(ledger: Record, text: str) -> list[str]:
    """Return the ids of the changes in an incident that nobody accepted, nothing where no incident is meant."""
    try:
        incident = find_incident(ledger, text)
    except Refused:
        return []
    return [key for key, entry in incident.entries.items() if entry.is_news]


def _declare(body: ActBody, source: str, now: datetime, known: Acts) -> Act:
    if body.begins_at is None or body.ends_at is None:
        raise BadQuery("begins_at and ends_at are needed")
    plan = Plan(
        subject=read_name(body.subject, "subject"),
        begins_at=body.begins_at.astimezone(UTC),
        ends_at=body.ends_at.astimezone(UTC),
        by=body.by,
        what=tuple(dict.fromkeys(body.what)),
        why=body.why,
        answers=tuple(dict.fromkeys(body.answers)),
    )
    act = plan.declared(now, source)
    if problems := check_change(act):
        raise BadQuery("; ".join(problems))
    earlier = _find(known, act.id)
    if earlier is not None and earlier.ended is not None:
        raise Refused(f"just this change was declared, and {earlier.ended.by} ended it: say another reason", 409)
    return earlier.act if earlier is not None else act


def _end(body: ActBody, source: str, now: datetime, known: Acts) -> Act:
    change = _find(known, body.subject)
    if change is None:
        raise Refused("there is no such change", 404)
    if change.ended is not None:
        raise Refused(f"{change.ended.by} ended it at {change.ended.at:%Y-%m-%d %H:%M} UTC", 409)
    return end_of(change, body.by, body.why, now, source)


def _find(acts: Acts, act_id: str) -> DeclaredChange | None:
    return next((change for change in acts.changes() if change.act.id == act_id), None)


def source_of(door: str, request: Request) -> str:
    """Return through which door an act came, from where, and who vouches for whose it is."""
    vouched = f", by {via}" if (via := person_of(request).via) else ""
    return f"{door}, from {peer_of(request) or 'a socket'}{vouched}"


def in_the_name_of(person: Person, body: ActBody) -> ActBody:
    """Return what is asked for, by who signed in, whoever it says."""
    return msgspec.structs.replace(body, by=person.name) if person.name else body


async def _read_body(request: Request) -> ActBody:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("Content-Type: application/json is expected", 415)
    octets = await read_octets(request)
    try:
        return in_the_name_of(person_of(request), msgspec.json.decode(octets, type=ActBody))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadQuery(f"this is no act: {error}") from error


async def read_octets(request: Request, most: int = MAX_BODY) -> bytes:
    """Return the body.

    Raises:
        Refused: it is longer than ``most``.
    """
    octets = b""
    async for part in request.stream():
        octets += part
        if len(octets) > most:
            raise Refused("the body is too long", 413)
    return octets


async def read_form(request: Request, subject: str = "") -> ActBody:
    """Return what a form of a page, about ``subject`` if it is about one, asks for.

    Raises:
        Refused: it is no form, or none of ours.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refused("a form is expected", 415)
    octets = await read_octets(request)
    try:
        fields = parse_qs(octets.decode(), max_num_fields=10, strict_parsing=True)
        words: dict[str, Any] = {key: values[0].strip() for key, values in fields.items()}
        if subject:
            words["subject"] = subject
        if lasts := words.pop("lasts", ""):
            words["ends_at"] = utc(time.time() + parse_duration(lasts))
        if "matchers" in words:
            words["matchers"] = [line.strip() for line in words["matchers"].splitlines() if line.strip()]
        if "yes" in words:
            words["yes"] = words["yes"] == "yes"
        return in_the_name_of(person_of(request), msgspec.convert(words, ActBody))
    except (ValueError, msgspec.ValidationError) as error:
        raise BadQuery(f"this is no act: {error}") from error


def change_view(change: DeclaredChange, now: datetime) -> dict[str, Any]:
    """Return a declared change for scripts."""
    act = change.act
    return {
        "id": act.id,
        "subject": act.subject,
        "what": act.what,
        "answers": act.answers,
        "begins_at": change.begins_at,
        "ends_at": change.ends_at,
        "state": change.state_at(now),
        "by": act.by,
        "why": act.why,
        "declared_at": act.at,
        "source": act.source,
        "ended_at": change.ended.at if change.ended is not None else None,
        "ended_by": change.ended.by if change.ended is not None else "",
    }
