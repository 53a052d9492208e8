"""Messages to rows of the history and back."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from schemas.judgement import Judgement
from schemas.messages import (
    Act,
    Evidence,
    Finding,
    Identity,
    InventorySnapshot,
    Observation,
    Occasion,
    PollBatch,
    ZoneObservation,
    ZoneSweep,
    utc,
)
from schemas.wire import digest_of

Row = Sequence[Any]

OBSERVATION_COLUMNS = (
    "id", "name", "type", "vantage", "observed_at", "occasion", "verdict", "rcode", "cause_zone", "reasons", "answers",
    "expires_at", "evidence", "judgement",
)  # fmt: skip
VERDICT_COLUMNS = (
    "name", "type", "vantage", "observation", "verdict", "cause_zone", "first_seen_at", "last_seen_at", "signed_until",
)  # fmt: skip
EVIDENCE_COLUMNS = ("digest", "name", "type", "at", "messages", "trust_anchors", "policy", "zones")
EVIDENCE_MESSAGE_COLUMNS = ("digest", "wire", "stored_at")
FINDING_COLUMNS = (
    "id", "version", "key", "code", "kind", "status", "severity", "confirmed", "cause_zone", "opened_at", "updated_at",
    "trigger", "finding", "servers",
)  # fmt: skip
IDENTITY_COLUMNS = ("id", "seen_at", "identity")
ZONE_COLUMNS = (
    "id", "zone", "vantage", "observed_at", "occasion", "verdict", "parent", "reasons", "ds", "keys",
    "signed_by", "inception_at", "expires_at", "evidence", "observation",
)  # fmt: skip
SWEEP_COLUMNS = (
    "id", "zone", "parent", "vantage", "swept_at", "verdict", "alarm", "servers", "evidence", "sweep", "memory",
)  # fmt: skip
ACT_COLUMNS = ("id", "at", "kind", "who", "subject", "act")
RENEWAL_COLUMNS = ("zone", "at", "left_ratio", "of_keys", "interval_s")
COLUMNS = {
    "evidence_messages": EVIDENCE_MESSAGE_COLUMNS,
    "evidence": EVIDENCE_COLUMNS,
    "zones": ZONE_COLUMNS,
    "sweeps": SWEEP_COLUMNS,
    "acts": ACT_COLUMNS,
    "observations": OBSERVATION_COLUMNS,
    "verdicts": VERDICT_COLUMNS,
    "identities": IDENTITY_COLUMNS,
    "renewals": RENEWAL_COLUMNS,
    "findings": FINDING_COLUMNS,
}


def observation_row(message: Observation) -> Row:
    """Return the row of one observation."""
    judgement = message.judgement
    return (
        message.id,
        *message.subject,
        message.observed_at,
        str(message.occasion),
        str(judgement.verdict),
        judgement.rcode,
        judgement.cause_zone,
        [reason.code for reason in judgement.reasons],
        list(judgement.answers),
        judgement.expires_at,
        judgement.evidence,
        msgspec.json.encode(judgement).decode(),
    )


def zone_row(message: ZoneObservation, *, repeats: bool = False) -> Row:
    """Return the row of one observation of a zone; ``repeats``: it says what the one before it said."""
    link = message.link
    occasion = message.occasion if message.occasion is not Occasion.REFRESH else Occasion.CHANGE
    return (
        message.id,
        message.zone,
        message.vantage,
        message.observed_at,
        str(Occasion.REFRESH if repeats else occasion),
        str(link.verdict),
        message.parent,
        [reason.code for reason in message.reasons],
        list(link.ds),
        [(key.tag, key.algorithm, key.flags, key.bits, key.digest) for key in link.keys],
        list(link.signed_by),
        link.inception_at,
        link.expires_at,
        message.evidence.digest,
        msgspec.json.encode(_without_messages(message)).decode(),
    )


def _without_messages(message: ZoneObservation) -> ZoneObservation:
    return msgspec.structs.replace(message, evidence=msgspec.structs.replace(message.evidence, messages=()))


def sweep_row(message: ZoneSweep, at: datetime, memory: str) -> Row:
    """Return the row of one sweep; ``memory`` is what is remembered after it, empty where it came late.

    ``at`` is its instant by our own clock: one from the future must not stay the newest.
    """
    evidence = message.evidence
    bare = msgspec.structs.replace(evidence, messages=()) if evidence is not None else None
    return (
        message.id,
        message.zone,
        message.parent,
        message.vantage,
        at,
        str(message.verdict),
        message.alarm,
        [sight.server for sight in message.servers],
        evidence.digest if evidence is not None else "",
        msgspec.json.encode(msgspec.structs.replace(message, evidence=bare)).decode(),
        memory,
    )


def act_row(act: Act) -> Row:
    """Return the row of what somebody did."""
    return act.id, act.at, act.kind, act.by, act.subject, msgspec.json.encode(act).decode()


def verdict_row(message: Observation) -> Row:
    """Return the interval that an observation begins."""
    at, judgement = message.observed_at, message.judgement
    signed_until = message.signed.expires_at if message.signed is not None else None
    return (*message.subject, message.id, str(judgement.verdict), judgement.cause_zone, at, at, signed_until)


def stretched_rows(message: PollBatch, verdicts: dict[str, tuple[str, str]]) -> list[Row]:
    """Return the intervals that a poll batch stretches; ``verdicts`` maps observation ids to (verdict, cause zone).

    Rows whose observation is not in it were taken in before.
    """
    columns = (message.names, message.types, message.observations, message.polled_at)
    ends = message.expirations or (0,) * len(message.names)
    instants = {end: utc(end) if end else None for end in set(ends)}  # the signatures of a zone mostly end together
    return [
        (name, rdtype, message.vantage, observation, *verdicts[observation], at, at, instants[end])
        for name, rdtype, observation, at, end in zip(*columns, ends, strict=True)
        if observation in verdicts
    ]


def evidence_rows(evidence: Evidence) -> tuple[Row, list[Row]]:
    """Return the row of the evidence and one for each message in it."""
    digests = [digest_of(wire) for wire in evidence.messages]
    policy = msgspec.json.encode(evidence.policy).decode()
    anchors, zones = list(evidence.trust_anchors), list(evidence.zones)
    row = (evidence.digest, evidence.name, evidence.type, evidence.at, digests, anchors, policy, zones)
    return row, [(digest, wire, evidence.at) for digest, wire in zip(digests, evidence.messages, strict=True)]


def finding_row(finding: Finding, trigger: str) -> Row:
    """Return the row of one version of a finding."""
    return (
        finding.id,
        finding.version,
        finding.key,
        finding.code,
        str(finding.kind),
        str(finding.status),
        str(finding.severity),
        finding.confirmed,
        finding.cause_zone,
        finding.opened_at,
        finding.updated_at,
        trigger,
        msgspec.json.encode(finding).decode(),
        list(finding.servers),
    )


def identity_row(message: InventorySnapshot) -> Row:
    """Return the row of one identity; empty content once it is gone."""
    content = msgspec.json.encode(message.identity).decode() if message.identity is not None else ""
    return message.id, message.seen_at, content


def read_judgement(content: str) -> Judgement:
    """Return the judgement of a row."""
    return msgspec.json.decode(content, type=Judgement)


def read_zone(content: str) -> ZoneObservation:
    """Return the observation of a zone in a row; its evidence has no messages there."""
    return msgspec.json.decode(content, type=ZoneObservation)


def read_sweep(content: str) -> ZoneSweep:
    """Return the sweep of a row; its evidence has no messages there."""
    return msgspec.json.decode(content, type=ZoneSweep)


def read_act(content: str) -> Act:
    """Return what somebody did."""
    return msgspec.json.decode(content, type=Act)


def read_findings(contents: Iterable[str]) -> list[Finding]:
    """Return the findings of rows."""
    return [msgspec.json.decode(content, type=Finding) for content in contents]


def read_identity(content: str) -> Identity | None:
    """Return the identity of a row, None once it is gone."""
    return msgspec.json.decode(content, type=Identity) if content else None
