"""The messages between the stages: frozen, tagged ``name.vN``, JSON on the wire.

Readers ignore unknown fields; a changed meaning is a new tag. Instants are aware UTC.

ZoneObservation    collector → analyzer   a zone as one vantage sees it: keys, DS set, signatures, with its evidence
ZoneSweep          collector → analyzer   what each authoritative server of a zone and of its parent says
Observation        collector → analyzer   first sight, change or periodic refresh of one endpoint, with its evidence
PollBatch          collector → analyzer   "unchanged since" for many endpoints, columnar
InventorySnapshot  collector → analyzer   who consumes what; one per identity
InventoryIndex     collector → analyzer   all identities and vantages there are
SelfReport         collector → analyzer   the collector's own troubles: an inventory that can't be read
Recall             analyzer → collector   observe these anew: an observation was lost on the way
Finding            analyzer → alerts      opened, updated or closed
Act                people → stages        what somebody did: acknowledged, noted, accepted, silenced, declared, ended
Notification       alerts → record        what was sent where, and why; also why something was not sent
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from schemas.catalogue import Kind, Severity
from schemas.judgement import ChainLink, Judgement, Number16, Number32, Octet, Reason, Verdict, ZoneKey

Criticality = Literal["critical", "high", "medium", "low"]
IdentityKind = Literal["service_account", "workload", "api_client", "ai_agent", "pipeline", "device", "other"]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Version = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
PosixTime = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**33)]
PolicyNumber = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
NAME_ABSENT = "it does not exist"
"""Why an NS name leads to no address, where that is proven or said with authority."""
YEARS = range(1970, 2200)
"""Instants outside are no message of ours: stores cut them off or wrap them around."""
SIGNATURE_YEARS = range(1900, 2300)
"""What a zone may write into its signatures lies within (RFC 4034 §3.1.5), and what a store can hold."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all messages."""


def require_utc(*instants: datetime | None, years: range = YEARS) -> None:
    """Refuse naive instants and implausible ones.

    msgspec checks the time zone on decode only, and a naive instant would be stored as local time.
    """
    for instant in instants:
        if instant is None:
            continue
        if instant.tzinfo is not UTC and instant.utcoffset() is None:
            raise ValueError("an instant without a time zone")
        if instant.year not in years:
            raise ValueError(f"an instant in the year {instant.year}")


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to validate again, offline: DNS messages as received, anchors, policy, and the time.

    ``messages`` hold whole responses, the chain's from the anchor down, then the answers; ``trust_anchors`` are DS or
    DNSKEY records in presentation format; ``policy`` holds every value of the policy in force. ``zones`` are the
    digests of the zones' own evidence, from the anchor down, whose messages come before these.
    """

    digest: str
    name: str
    type: str
    at: datetime
    messages: tuple[bytes, ...]
    trust_anchors: tuple[str, ...]
    policy: dict[str, str | PolicyNumber | float | bool | list[str]]
    zones: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_utc(self.at)


class SignatureWindow(msgspec.Struct, frozen=True, kw_only=True):
    """From when until when a signature is valid: over which RRset (``name TYPE``), and by the keys of which zone."""

    zone: str
    rrset: str
    inception_at: datetime
    expires_at: datetime

    def __post_init__(self) -> None:
        require_utc(self.inception_at, self.expires_at, years=SIGNATURE_YEARS)


class DenialParameters(msgspec.Struct, frozen=True):
    """How a zone proves absence: by NSEC, or by NSEC3 with so many iterations, a salt, and perhaps opt-out spans."""

    nsec3: bool = False
    iterations: Number16 = 0
    salt_octets: Octet = 0
    opt_out: bool = False


class DenialSpan(msgspec.Struct, frozen=True):
    """A span of an NSEC3 chain: of names whose hashes lie after ``first`` and before ``next`` (hex) none exists.

    The chain is known by its iterations and its salt (hex). With ``opt_out`` unsigned delegations may lie in between.
    """

    iterations: Number16
    salt: str
    first: str
    next: str
    opt_out: bool = False


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """How some data of a zone, other than its key set, are signed: by these keys (tag, algorithm), or by none.

    ``cached_until``: a cache that asked when the vantage last did may keep such data until then.
    """

    keys: tuple[tuple[Number16, Octet], ...]
    cached_until: datetime

    def __post_init__(self) -> None:
        require_utc(self.cached_until)


class Occasion(StrEnum):
    """Why an observation was made."""

    FIRST = "first"
    CHANGE = "change"
    REFRESH = "refresh"


class ZoneObservation(Message, frozen=True, kw_only=True, tag="zone.v1"):
    """A zone as one vantage sees it, however many names lie below.

    ``id`` is a hash of zone, vantage, content and instant. ``parent`` is the zone above it in the chain, empty for the
    anchored zone. ``link`` is what the chain says here; ``reasons`` say why its verdict is not secure, ``remarks`` are
    facts of the zone that do not change the verdict. ``windows`` are those of the signatures that this link rests on:
    over the key set, over the DS set, or over the proof that there is none. ``key_ttl_s`` and ``ds_ttl_s`` are the TTLs
    that the signatures name (the original ones; 0: unknown). ``signings`` say how data of the zone are signed;
    ``denial`` says how it proves absence, None while no proof was seen; ``denials`` are all the ways that were seen by
    turns, ``spans`` some of the NSEC3 spans, and ``turned`` those that had no opt-out and have it now.
    ``earlier_keys_until`` and ``earlier_ds_until`` say until when caches may keep the key set and the DS set that the
    observation before this one had: those that asked when the vantage last did. None: nothing was seen before.
    ``keys_until`` and ``ds_until`` say the same of the sets of this one, None in early messages; ``from_servers``: the
    vantage asks the zone's servers with each poll, so that what it shows is no copy.
    """

    id: str
    zone: str
    vantage: str
    occasion: Occasion
    observed_at: datetime
    parent: str
    link: ChainLink
    reasons: tuple[Reason, ...] = ()
    remarks: tuple[Reason, ...] = ()
    windows: tuple[SignatureWindow, ...] = ()
    key_ttl_s: Number32 = 0
    ds_ttl_s: Number32 = 0
    signings: tuple[Signing, ...] = ()
    denial: DenialParameters | None = None
    denials: tuple[DenialParameters, ...] = ()
    spans: tuple[DenialSpan, ...] = ()
    turned: tuple[str, ...] = ()
    earlier_keys_until: datetime | None = None
    earlier_ds_until: datetime | None = None
    keys_until: datetime | None = None
    ds_until: datetime | None = None
    from_servers: bool = False
    evidence: Evidence

    def __post_init__(self) -> None:
        instants = (self.earlier_keys_until, self.earlier_ds_until, self.keys_until, self.ds_until)
        require_utc(self.observed_at, *instants)

    @property
    def subject(self) -> "Subject":
        """Return (zone, nothing, vantage): what is watched, with no record type."""
        return self.zone, "", self.vantage


class ServerStatus(StrEnum):
    """What came of asking one authoritative server."""

    ANSWERS = "answers"
    """With authority for the zone."""
    SILENT = "silent"
    """Nothing came, over UDP and TCP, or the network said that it can't be reached."""
    REFUSES = "refuses"
    """An error rcode, or what is no answer to the question."""
    LAME = "lame"
    """It answers without authority: it does not know the zone."""
    NOT_ASKED = "not_asked"
    """Its address is one that may not be asked, or lies beyond the bounds of a sweep; nothing is known of it."""


class SignatureState(StrEnum):
    """Whether what a server says is signed as the zone's validated keys demand."""

    VALID = "valid"
    INVALID = "invalid"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """The zone is not signed, or nothing could be asked."""


class ServerSight(msgspec.Struct, frozen=True, kw_only=True):
    """What one authoritative server says of a zone in one sweep.

    ``server`` is its address (with the port, where that is not 53), ``name`` the NS name that led to it.
    ``of_parent``: it was asked as a server of the zone above, for the delegation: ``ns`` and ``ds`` are the parent's;
    else ``ns``, ``keys``, ``cds`` and ``cdnskey`` are what the zone itself says at its apex. ``reasons`` say why
    signatures are missing or invalid; ``detail`` has the rcode of an error. ``serial``, ``refresh_s`` and ``expire_s``
    are those of the zone's SOA record, None where none came.
    ``answers`` are the data of the names that are watched, by ``name TYPE``: sorted, in presentation format; an empty
    tuple is a denial. Records are in presentation format without owner and TTL, sorted.
    """

    server: str
    name: str
    of_parent: bool = False
    status: ServerStatus
    detail: str = ""
    signatures: SignatureState = SignatureState.UNKNOWN
    reasons: tuple[Reason, ...] = ()
    serial: Number32 | None = None
    refresh_s: Number32 | None = None
    expire_s: Number32 | None = None
    ns: tuple[str, ...] = ()
    ds: tuple[str, ...] = ()
    keys: tuple[ZoneKey, ...] = ()
    cds: tuple[str, ...] = ()
    cdnskey: tuple[str, ...] = ()
    answers: dict[str, tuple[str, ...]] = {}


class ZoneSweep(Message, frozen=True, kw_only=True, tag="sweep.v1"):
    """What each authoritative server of a zone, and each of its parent, said at about the same time.

    ``id`` is a hash of zone, content and instant. ``verdict`` is the zone's in the chain that the servers were asked
    along, secure where it holds through any of them. ``servers`` are sorted by side, name and address. ``unresolved``
    are NS names that lead to no address, each with the reason (``name: it does not exist``, in the words of
    ``NAME_ABSENT``). ``alarm``: the zone had just turned bogus or dark. ``windows`` are those of signatures that ended
    first among the apex RRsets. ``evidence`` has the responses of the servers that differ or fail; None where all
    agree, and where what they say was told before.
    """

    id: str
    zone: str
    parent: str
    vantage: str
    swept_at: datetime
    verdict: Verdict
    alarm: bool = False
    servers: tuple[ServerSight, ...] = ()
    unresolved: tuple[str, ...] = ()
    windows: tuple[SignatureWindow, ...] = ()
    evidence: Evidence | None = None

    def __post_init__(self) -> None:
        require_utc(self.swept_at)

    @property
    def subject(self) -> "Subject":
        """Return (zone, nothing, vantage)."""
        return self.zone, "", self.vantage


class Observation(Message, frozen=True, kw_only=True, tag="observation.v1"):
    """What one endpoint answered through one vantage, validated here.

    ``id`` is a hash of endpoint, vantage and instant, so that a replay has the same. The judgement's ``chain`` names
    the zones and their verdicts only; ``zones`` are the ids of the observations that say the rest, in the same order.
    ``signed`` is the window that ends first of the signatures over the answer itself. ``evidence`` is None where the
    messages were sent with an earlier observation that has the same digest.
    """

    id: str
    occasion: Occasion
    observed_at: datetime
    judgement: Judgement
    zones: tuple[str, ...] = ()
    signed: SignatureWindow | None = None
    evidence: Evidence | None = None

    def __post_init__(self) -> None:
        require_utc(self.observed_at, self.judgement.validated_at)
        expires_at = self.judgement.expires_at
        if expires_at is not None and expires_at.year not in SIGNATURE_YEARS:
            raise ValueError(f"a signature that ends in the year {expires_at.year}")

    @property
    def subject(self) -> tuple[str, str, str]:
        """Return (name, type, vantage)."""
        return self.judgement.name, self.judgement.type, self.judgement.vantage


class PollBatch(Message, frozen=True, kw_only=True, tag="polls.v1"):
    """Polls through one vantage that changed nothing: row i says "at ``polled_at[i]``, as in ``observations[i]``".

    ``id`` is a hash of the content. The columns have one length. ``inceptions`` and ``expirations`` (POSIX seconds; 0:
    no signature) are those of ``Observation.signed`` as they are now: a zone may sign the same data anew each
    time. They are empty in early messages.
    """

    id: str
    vantage: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    observations: tuple[str, ...]
    polled_at: tuple[datetime, ...]
    inceptions: tuple[PosixTime, ...] = ()
    expirations: tuple[PosixTime, ...] = ()

    def __post_init__(self) -> None:
        require_utc(*self.polled_at)
        columns = [self.types, self.observations, self.polled_at]
        columns += [column for column in (self.inceptions, self.expirations) if column]
        if any(len(column) != len(self.names) for column in columns):
            raise ValueError("the columns of a poll batch differ in length")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A host that an identity consumes; ``host`` in A-labels, lower case, without the final dot.

    ``origin`` is where in its source it stands, without the line, which moves with every edit: the file in a folder,
    the object in it, or both, as ``net/egress.yaml: ServiceEntry prod/partner``; empty of one plain file.
    """

    host: str
    port: Port | None = None
    types: tuple[str, ...] = ("A", "AAAA")
    purpose: str = ""
    expect: Verdict | None = None
    answers: tuple[str, ...] = ()
    unsigned_alias_ok: bool = False
    origin: str = ""


class Identity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A non-human identity and what it consumes; ``labels`` are further columns of its row, for people."""

    id: str
    kind: IdentityKind = "other"
    owner: str = ""
    environment: str = ""
    criticality: Criticality = "medium"
    endpoints: tuple[Endpoint, ...] = ()
    labels: dict[str, str] = {}


class InventorySnapshot(Message, frozen=True, kw_only=True, tag="inventory.v1"):
    """One identity as the inventory has it now; ``identity`` is None once it is gone.

    ``source`` names the file that it stands in, or stood in; empty in early messages.
    """

    id: str
    seen_at: datetime
    identity: Identity | None
    source: str = ""

    def __post_init__(self) -> None:
        require_utc(self.seen_at)


class InventoryFile(msgspec.Struct, frozen=True, kw_only=True):
    """The version of a file that the inventory was published from: SHA-256, when it was written, and who read it."""

    digest: str
    written_at: datetime
    by: str = ""

    def __post_init__(self) -> None:
        require_utc(self.written_at)


class InventoryIndex(Message, frozen=True, kw_only=True, tag="inventory-index.v1"):
    """All identities and vantages that there are now, by id and name; whoever is not among them is gone.

    ``ids`` is None where that is not said of identities. ``files`` are the sources by path: a collector whose file is
    an older version publishes nothing of it.
    """

    seen_at: datetime
    ids: tuple[str, ...] | None
    vantages: tuple[str, ...] = ()
    files: dict[str, InventoryFile] = {}

    def __post_init__(self) -> None:
        require_utc(self.seen_at)


class SelfReport(Message, frozen=True, kw_only=True, tag="self.v1"):
    """A trouble of the collector's own: begins with a detail, ends when ``detail`` is empty.

    ``code`` is a ``self_`` code of the catalogue; ``subject`` says what it is about (a path, a vantage). ``by`` is who
    reports it, where several may: another one's report ends nothing of it. It is then told again while it lasts, so
    that who does not tell it any more is known to be gone.
    """

    code: str
    subject: str
    at: datetime
    detail: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        require_utc(self.at)


class Recall(Message, frozen=True, kw_only=True, tag="recall.v1"):
    """The analyzer asks the collectors to observe ``subjects`` anew: what their polls speak of never reached it.

    A subject is (name, type, vantage).
    """

    at: datetime
    subjects: tuple[tuple[str, str, str], ...]
    reason: str = ""

    def __post_init__(self) -> None:
        require_utc(self.at)


ActKind = Literal[
    "acknowledge",
    "reopen",
    "note",
    "accept",
    "silence",
    "expire_silence",
    "declare_change",
    "end_change",
    "accept_inventory",
    "reconfigure",
]


class Act(Message, frozen=True, kw_only=True, tag="act.v1"):
    """What somebody did: who (``by``), to what (``subject``), when, and why. Each one is kept.

    ``subject`` is an incident, a finding, a zone, a name, an inventory source, or the act that is ended; ``matchers``
    say which findings are meant where it is none of these. ``begins_at`` and ``ends_at`` bound a silence or a declared
    change. ``what`` are the kinds of change that are declared (``schemas.catalogue.Change``). ``answers`` are the data
    that are declared, or accepted as the state of ``rrset`` (``name TYPE``) through ``vantages``, any where none is
    named. ``source`` says how the act reached us; unlike ``by`` nobody can choose it.
    """

    id: str
    kind: ActKind
    by: str
    at: datetime
    why: str = ""
    subject: str = ""
    matchers: tuple[str, ...] = ()
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    what: tuple[str, ...] = ()
    rrset: str = ""
    answers: tuple[str, ...] = ()
    vantages: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        require_utc(self.at, self.begins_at, self.ends_at)


class FindingStatus(StrEnum):
    """Where a finding is in its life."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """One identity in the blast radius; ``hosts`` are some of those that it consumes there."""

    id: str
    kind: str = ""
    owner: str = ""
    environment: str = ""
    criticality: Criticality = "medium"
    hosts: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()


class Finding(Message, frozen=True, kw_only=True, tag="finding.v1"):
    """One fault or drift with its cause and its blast radius, at one point of its life.

    ``key`` is a hash of code, cause zone and cause RRset, never of time; ``id`` is a hash of key, ``opened_at``,
    ``before`` and ``after``; ``version`` counts from 1 within an id, so (id, version) names this message for ever.
    ``confirmed`` turns true once enough polls agree. ``servers`` are the authoritative servers at fault, by address, or
    by NS name where that leads to none. ``before`` and ``after`` are for people. ``endpoints`` are
    "name TYPE", sorted, and list at most 1,000 of ``endpoint_count``; so do ``identities`` of ``identity_count``, with
    up to 50 hosts each (the count is 0 in early messages, which listed all). ``endpoint_peak`` and ``identity_peak``
    are what the counts were at most. ``closed_because`` is empty where good polls ended a state; otherwise it says why
    the finding is closed though nobody proved that it is over. ``accepted_by`` is who accepted a drift as planned.
    ``reporters`` are the processes that report it of themselves, where several may.
    """

    id: str
    key: str
    version: Version
    status: FindingStatus
    code: str
    kind: Kind
    severity: Severity
    confirmed: bool
    cause_zone: str
    cause_rrset: str = ""
    detail: str = ""
    vantages: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    evidence: str = ""
    endpoints: tuple[str, ...] = ()
    endpoint_count: Count = 0
    identities: tuple[Affected, ...] = ()
    identity_count: Count = 0
    endpoint_peak: Count = 0
    identity_peak: Count = 0
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    closed_because: str = ""
    accepted_by: str = ""
    reporters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_utc(self.opened_at, self.updated_at, self.closed_at)

    def is_about(self, name: str) -> bool:
        """Return whether it lies at an owner name, or lists it among its endpoints."""
        return self.cause_rrset.partition(" ")[0] == name or any(
            endpoint.startswith(f"{name} ") for endpoint in self.endpoints
        )


class NotificationStatus(StrEnum):
    """What became of a notification."""

    SENT = "sent"
    FAILED = "failed"
    WITHHELD = "withheld"


CRITICALITY_ORDER = {"critical": 0, "high": 1, "medium": 2, "low": 3}
"""How identities are sorted where they are listed, most critical first."""
Subject = tuple[str, str, str]
"""What is watched: name, type, vantage, as messages have them."""


class Control(msgspec.Struct, frozen=True):
    """A control of a framework that a finding touches; ``relation`` is evidence, direct, amplifies or context."""

    framework: str
    control: str
    relation: str
    why: str
    citation: str = ""


NotificationEvent = Literal["trigger", "update", "reminder", "acknowledge", "resolve", "digest"]


class Notification(Message, frozen=True, kw_only=True, tag="notification.v1"):
    """One delivery, or the decision against one.

    ``id`` stays the same over retries and is the receiver's idempotency key. ``event`` is trigger, update, reminder,
    acknowledge (somebody has it), resolve, or digest (of no incident); ``reason`` says why it was sent or withheld.
    """

    id: str
    incident: str
    event: NotificationEvent
    status: NotificationStatus
    receiver: str
    reason: str
    at: datetime
    attempts: Count = 0
    severity: Severity = Severity.INFO
    summary: str = ""
    cause_zone: str = ""
    findings: tuple[str, ...] = ()
    controls: tuple[Control, ...] = ()

    def __post_init__(self) -> None:
        require_utc(self.at)


def utc(timestamp: float) -> datetime:
    """Return the aware UTC instant of a POSIX timestamp in seconds."""
    return datetime.fromtimestamp(timestamp, UTC)
