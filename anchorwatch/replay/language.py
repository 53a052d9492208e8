"""The words of a scenario: what there is, what happens, what must come of it. ``docs/scenarios.md`` explains them.

Each step and each expectation is a struct; its docstring's first line is what the reference says of the word, and a
text instead of a mapping is the value of its first field.
"""

from typing import Annotated, Any, Literal

import msgspec

from anchorwatch.configuration.values import Section
from schemas.catalogue import Severity
from schemas.judgement import Verdict

Texts = tuple[str, ...] | str
Span = str | int
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Ttl = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Audience = Literal["clients", "edns", "plain", "all"]


# what there is


class KeySection(Section, frozen=True, kw_only=True):
    """A key of a zone.

    role: ksk (signs the key set, the DS points at it), zsk (signs all else) or csk (both).
    state: active (in the key set, and signs), published (in the key set only), signing (signs, not in the key set) or
    absent (nobody has seen it yet).
    collides_with: a key of the zone whose tag it shares.
    """

    role: Literal["ksk", "zsk", "csk"] = "zsk"
    algorithm: int | str = 0
    bits: Annotated[int, msgspec.Meta(ge=512, le=4096)] = 2048
    state: Literal["active", "published", "signing", "absent"] = "active"
    collides_with: str = ""


class Nsec3Section(Section, frozen=True, kw_only=True):
    """How a zone hashes its names; ``salt`` in hexadecimal."""

    iterations: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    salt: Annotated[str, msgspec.Meta(pattern="^([0-9A-Fa-f]{2})*$")] = ""
    opt_out: bool = False


class TtlSection(Section, frozen=True, kw_only=True):
    """TTLs in seconds or as spans; ``ns`` and ``ds`` are those at the parent."""

    records: Span = "1h"
    keys: Span = "1h"
    ns: Span = "1d"
    ds: Span = "1d"
    negative: Span = "15m"


class SigningSection(Section, frozen=True, kw_only=True):
    """How long signatures last, when they are renewed (``never``: not by itself), and how evenly."""

    validity: Span = "14d"
    key_validity: Span = ""
    refresh: Span = "7d"
    jitter: Span = "0"
    inception_offset: Span = "1h"


class SoaSection(Section, frozen=True, kw_only=True):
    """Times of the SOA record."""

    refresh: Span = "1h"
    retry: Span = "10m"
    expire: Span = "14d"


class ZoneSection(Section, frozen=True, kw_only=True):
    """A zone.

    keys: by name; without any a signed zone has ``ksk`` and ``zsk``.
    ds: whether the parent has a DS set for it, by default where it is signed.
    servers: address (or several) by name, by default two of the zone's own.
    records: lines such as ``www A 192.0.2.1`` or ``www 300 A 192.0.2.1``, names relative to the zone.
    copies: so many zones just like it; ``{N}`` in its name, servers and records stands for the number of each.
    """

    signed: bool = True
    algorithm: int | str = 13
    keys: dict[str, KeySection] = msgspec.field(default_factory=dict)
    digests: Texts = ("SHA256",)
    ds: bool | None = None
    delegated: bool = True
    ttl: TtlSection = TtlSection()
    signing: SigningSection = SigningSection()
    soa: SoaSection = SoaSection()
    nsec3: Nsec3Section | None = None
    servers: dict[str, Texts] = msgspec.field(default_factory=dict)
    records: tuple[str, ...] = ()
    copies: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


class VantageSection(Section, frozen=True, kw_only=True):
    """A resolver that the monitor asks, or with ``kind: authoritative`` the servers themselves.

    validates: whether it validates for its clients.
    profile: the algorithm profile of its validation.
    """

    kind: Literal["resolver", "authoritative"] = "resolver"
    validates: bool = True
    profile: Literal["iana2025", "legacy"] = "iana2025"
    max_ttl: Span = "1d"
    latency: Span = "20ms"
    loss: Share = 0.0


class ReceiverSection(Section, frozen=True, kw_only=True):
    """Who is notified, of which findings; the fields are those of ``match`` in a route."""

    code: tuple[str, ...] = ()
    severity: tuple[Severity, ...] = ()
    criticality: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()


class ScenarioFile(Section, frozen=True, kw_only=True):
    """A whole scenario; ``zones``, ``vantages``, ``steps`` and ``expect`` are read one by one.

    cause_at, outage_at: when what is to be found begins, and when it would break something, for the measures.
    trust_anchors: the keys of the root (by name) that the monitor trusts, by default its secure-entry keys.
    sweeps: whether every server of each zone is asked itself: each hour (in a scenario that lasts for more than 60 days
    each week, unless ``config: {authoritative: {sweep: …}}`` says otherwise), and at once when a zone turns.
    config: any section of ``anchorwatch.yaml``.
    """

    scenario: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$")]
    title: str = ""
    start: Any = "2026-01-05T00:00:00Z"
    lasts: Span
    seed: int = 1
    interval: Span = "5m"
    cause_at: Span | None = None
    outage_at: Span | None = None
    loss: Share = 0.0
    sweeps: bool = True
    zones: dict[str, Any] = msgspec.field(default_factory=dict)
    vantages: dict[str, Any] = msgspec.field(default_factory=dict)
    trust_anchors: Texts = ()
    inventory: tuple[Any, ...] = ()
    receivers: dict[str, Any] = msgspec.field(default_factory=dict)
    rules: tuple[Any, ...] = ()
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    steps: tuple[Any, ...] = ()
    expect: tuple[Any, ...] = ()


# what happens


class Word(Section, frozen=True, kw_only=True):
    """Something that happens at one instant."""


class Publish(Word, frozen=True, kw_only=True):
    """Put a key into the key set of its zone; it signs nothing yet."""

    zone: str
    key: str


class NewKey(Word, frozen=True, kw_only=True):
    """Make a key for a zone; nobody sees it yet."""

    zone: str
    key: str
    role: Literal["ksk", "zsk", "csk"] = "zsk"
    algorithm: int | str = 0
    bits: Annotated[int, msgspec.Meta(ge=512, le=4096)] = 2048


class SignWith(Word, frozen=True, kw_only=True):
    """Sign with these keys from now on, and with no others of their roles; all signatures are made anew.

    spread: each signature is by one of them only, by chance, another one at each server and each signing.
    broken: their signatures do not verify.
    """

    zone: str
    keys: Texts
    spread: bool = False
    broken: bool = False


class Withdraw(Word, frozen=True, kw_only=True):
    """Take a key out of the key set; with ``keep_signatures`` it goes on signing."""

    zone: str
    key: str
    keep_signatures: bool = False


class Revoke(Word, frozen=True, kw_only=True):
    """Set the REVOKE bit of a key (RFC 5011); it signs the key set beside the others."""

    zone: str
    key: str


class Resign(Word, frozen=True, kw_only=True):
    """Make all signatures of a zone anew, by default as it always signs.

    inception, expiration: when they begin and end, as spans from now (``-1h``).
    """

    zone: str
    inception: Span | None = None
    expiration: Span | None = None


class Stall(Word, frozen=True, kw_only=True):
    """Stop the signer of a zone: nothing is renewed any more."""

    zone: str


class Resume(Word, frozen=True, kw_only=True):
    """Start the signer of a zone again; it signs at once."""

    zone: str


class Expire(Word, frozen=True, kw_only=True):
    """Serve signatures that have ended, made by the right keys: of one RRset (``www A``), or of the whole zone.

    ago: since when they have ended.
    """

    zone: str
    rrset: str = ""
    servers: Texts = ()
    ago: Span = "1h"


class Corrupt(Word, frozen=True, kw_only=True):
    """Serve one field of an RRset, or of its signatures, other than it is; ``docs/scenarios.md`` lists the fields.

    rrset: owner and type, such as ``www A`` or ``@ DNSKEY``; a type alone means every owner, ``*`` everything.
    field: ``signature`` by default, so that no signature verifies.
    to: the new value, by default just another one. Of ``records`` it is a list, an empty one leaves the RRset out.
    signed: the changed record is signed as it is now. servers: at these only.
    """

    zone: str
    rrset: str
    field: str = "signature"
    to: Any = None
    signed: bool = False
    servers: Texts = ()


class Heal(Word, frozen=True, kw_only=True):
    """Undo everything that ``corrupt`` and ``expire`` did to a zone, or what they did at these servers."""

    zone: str
    servers: Texts = ()


class Sign(Word, frozen=True, kw_only=True):
    """Sign a zone that was not signed, with the keys that it has; the parent gets no DS by this."""

    zone: str


class Unsign(Word, frozen=True, kw_only=True):
    """Serve a zone without signatures, keys and proofs; the DS at the parent stays."""

    zone: str


class Nsec3(Word, frozen=True, kw_only=True):
    """Prove absence by NSEC3 with these parameters from now on; with ``off`` by NSEC."""

    zone: str
    iterations: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    salt: Annotated[str, msgspec.Meta(pattern="^([0-9A-Fa-f]{2})*$")] = ""
    opt_out: bool = False
    off: bool = False


class SetDs(Word, frozen=True, kw_only=True):
    """Set the DS set at the parent: for these keys (by default those that sign the key set), or to these records.

    add: beside those that are there.
    """

    zone: str
    keys: Texts = ()
    records: Texts = ()
    digests: Texts = ("SHA256",)
    add: bool = False


class DropDs(Word, frozen=True, kw_only=True):
    """Take the DS set at the parent away, or of it the records for these keys."""

    zone: str
    keys: Texts = ()


class PublishCds(Word, frozen=True, kw_only=True):
    """Publish CDS and CDNSKEY for these keys (RFC 7344); with ``delete`` the request to remove the DS (RFC 8078).

    off: take them away.
    """

    zone: str
    keys: Texts = ()
    delete: bool = False
    off: bool = False


class SetNs(Word, frozen=True, kw_only=True):
    """Name these servers as those of a zone: at the parent, in the zone itself, or in both."""

    zone: str
    servers: Texts
    where: Literal["both", "parent", "child"] = "both"


class AddServer(Word, frozen=True, kw_only=True):
    """Set up a server that has these zones, or other copies of them: ``impostor`` ones have their own content.

    An impostor's copy is unsigned; ``answers`` are its records (``www A 203.0.113.9``), names absolute or relative to
    the first zone.
    """

    server: str
    address: str
    zones: Texts
    impostor: bool = False
    answers: tuple[str, ...] = ()


class Answer(Word, frozen=True, kw_only=True):
    """Give a name these records from now on; none: it has no such records any more.

    show, every: of the records only so many at a time, others after each span.
    """

    name: str
    type: str = "A"
    records: Texts = ()
    ttl: Span | None = None
    show: Count = 0
    every: Span = "1h"


class ServerDown(Word, frozen=True, kw_only=True):
    """Let a server, a resolver, or every server of a zone say nothing at all."""

    server: str = ""
    vantage: str = ""
    zone: str = ""


class ServerUp(Word, frozen=True, kw_only=True):
    """Let a server, a resolver, or every server of a zone answer again."""

    server: str = ""
    vantage: str = ""
    zone: str = ""


class Lame(Word, frozen=True, kw_only=True):
    """Let a server know nothing of a zone that is delegated to it: it answers REFUSED."""

    server: str
    zone: str


class Refuse(Word, frozen=True, kw_only=True):
    """Let a server or a resolver answer everything with an error rcode; NOERROR ends it."""

    server: str = ""
    vantage: str = ""
    rcode: Literal["NOERROR", "FORMERR", "SERVFAIL", "NOTIMP", "REFUSED"] = "REFUSED"


class Strip(Word, frozen=True, kw_only=True):
    """Let a server or a resolver leave out DNSSEC records; ``share``: of a resolver's answers, 0 ends it."""

    server: str = ""
    vantage: str = ""
    share: Share = 1.0


class Stale(Word, frozen=True, kw_only=True):
    """Let a server or a resolver keep its copy of a zone as it is now, whatever changes, until it catches up."""

    server: str = ""
    vantage: str = ""
    zone: str


class CatchUp(Word, frozen=True, kw_only=True):
    """Let a server or a resolver have the current copy of a zone again."""

    server: str = ""
    vantage: str = ""
    zone: str


class Lose(Word, frozen=True, kw_only=True):
    """Lose a share of the packets to a server or a resolver, or of all packets where none is named."""

    share: Share
    server: str = ""
    vantage: str = ""


class Latency(Word, frozen=True, kw_only=True):
    """Let a server or a resolver take so long for each answer."""

    takes: Span
    server: str = ""
    vantage: str = ""


class Restore(Word, frozen=True, kw_only=True):
    """Undo everything that was done to a server or a resolver: it is up, honest, quick, and has current copies."""

    server: str = ""
    vantage: str = ""


class Lie(Word, frozen=True, kw_only=True):
    """Let a resolver give other records for a name than there are; none: it denies that there are any.

    to: clients (who ask with CD=0), edns or plain ones of them only, or all, validators included.
    ad: clients are told that it is authentic.
    """

    vantage: str
    name: str
    type: str = "A"
    records: Texts = ()
    rcode: Literal["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"] = "NOERROR"
    to: Audience = "clients"
    ad: bool = False


class StopLying(Word, frozen=True, kw_only=True):
    """Let a resolver be honest again, about one name or about all."""

    vantage: str
    name: str = ""


class Nta(Word, frozen=True, kw_only=True):
    """Set a negative trust anchor for a zone at a resolver (RFC 7646), with ``off`` remove it."""

    vantage: str
    zone: str
    off: bool = False


class Validates(Word, frozen=True, kw_only=True):
    """Let a resolver validate for its clients from now on, or not."""

    vantage: str
    on: bool


class Flush(Word, frozen=True, kw_only=True):
    """Empty the cache of a resolver."""

    vantage: str


class SkewClock(Word, frozen=True, kw_only=True):
    """Set the monitor's clock so far from the true time: ``-4d`` is four days behind, ``0`` right again."""

    by: Span


class EditInventory(Word, frozen=True, kw_only=True):
    """Write the inventory anew: these identities, or any text; or add and remove some of those that there are."""

    identities: tuple[Any, ...] | None = None
    text: str | None = None
    add: tuple[Any, ...] = ()
    remove: Texts = ()


class AcceptInventory(Word, frozen=True, kw_only=True):
    """Accept that the inventory lost as much as it did."""

    by: str = "operator"
    why: str = "planned"


class DeclareChange(Word, frozen=True, kw_only=True):
    """Declare a planned change of a zone or name, from now on for a span.

    what: keys, ds, ns, unsign or answers, as ``anchorwatch change add`` has them; with ``answers`` their data.
    """

    subject: str
    lasts: Span
    what: Texts
    answers: tuple[str, ...] = ()
    by: str = "operator"
    why: str = "planned"


class Accept(Word, frozen=True, kw_only=True):
    """Accept the changes (drifts) of a code, of a cause zone, or both, as planned."""

    code: str = ""
    cause: str = ""
    by: str = "operator"
    why: str = "planned"


class Restart(Word, frozen=True, kw_only=True):
    """Kill the monitor and start it again: all that it had in memory is lost, what it stored is there."""

    after: Span = "5s"


class ReceiverDown(Word, frozen=True, kw_only=True):
    """Let a receiver take nothing."""

    receiver: str


class ReceiverUp(Word, frozen=True, kw_only=True):
    """Let a receiver take notifications again."""

    receiver: str


WORDS: dict[str, type[Word]] = {
    # keys and signatures
    "new_key": NewKey,
    "publish": Publish,
    "sign_with": SignWith,
    "withdraw": Withdraw,
    "revoke": Revoke,
    "resign": Resign,
    "stall": Stall,
    "resume": Resume,
    "expire": Expire,
    "corrupt": Corrupt,
    "heal": Heal,
    "sign": Sign,
    "unsign": Unsign,
    "nsec3": Nsec3,
    # the parent
    "set_ds": SetDs,
    "drop_ds": DropDs,
    "publish_cds": PublishCds,
    "set_ns": SetNs,
    # data
    "answer": Answer,
    # servers and the network
    "add_server": AddServer,
    "server_down": ServerDown,
    "server_up": ServerUp,
    "lame": Lame,
    "refuse": Refuse,
    "strip": Strip,
    "stale": Stale,
    "catch_up": CatchUp,
    "lose": Lose,
    "latency": Latency,
    "restore": Restore,
    # resolvers
    "lie": Lie,
    "stop_lying": StopLying,
    "nta": Nta,
    "validates": Validates,
    "flush": Flush,
    # the monitor
    "skew_clock": SkewClock,
    "edit_inventory": EditInventory,
    "accept_inventory": AcceptInventory,
    "declare_change": DeclareChange,
    "accept": Accept,
    "restart": Restart,
    "receiver_down": ReceiverDown,
    "receiver_up": ReceiverUp,
}


# what must come of it


class Expectation(Section, frozen=True, kw_only=True):
    """Something that must be so at the end of a run."""


class FindingExpected(Expectation, frozen=True, kw_only=True):
    """A finding is told.

    cause: the zone, or for a name's own fault the name; for a vantage or server its name.
    severity: the highest that it had. by: it is confirmed by then. after: it opened no earlier.
    closed_by: it is closed by then. open_until: it is not closed before.
    detail: a text that one of its sentences has.
    """

    code: str
    cause: str = ""
    rrset: str = ""
    server: str = ""
    vantage: str = ""
    severity: Severity | None = None
    by: Any = None
    after: Any = None
    closed_by: Any = None
    open_until: Any = None
    detail: Texts = ()


class NoFinding(Expectation, frozen=True, kw_only=True):
    """No finding is told in a window: of these codes (``any``: of all but ``ignoring``), cause, and at least so severe.

    closed: none is closed in the window, whatever is open.
    """

    code: Texts = "any"
    cause: str = ""
    vantage: str = ""
    severity: Severity = Severity.INFO
    ignoring: Texts = ()
    start: Any = None
    until: Any = None
    closed: bool = False


class Pages(Expectation, frozen=True, kw_only=True):
    """So many incidents are told to a receiver in a window: each counts once, when the receiver first hears of it.

    at_most: instead of an exact count. by: the first comes by then. events: which notifications count.
    cause, code: only those with a finding of this cause zone, name or code in them.
    """

    count: Count | None = None
    receiver: str = ""
    code: str = ""
    cause: str = ""
    start: Any = None
    until: Any = None
    at_most: Count | None = None
    by: Any = None
    events: Texts = ("trigger",)


class VerdictExpected(Expectation, frozen=True, kw_only=True):
    """A name has a verdict at an instant, as a vantage (by default the first) shows it."""

    name: str
    type: str = "A"
    verdict: Verdict = Verdict.SECURE
    at: Any
    vantage: str = ""
    reason: str = ""


EXPECTATIONS: dict[str, type[Expectation]] = {
    "finding": FindingExpected,
    "no_finding": NoFinding,
    "pages": Pages,
    "verdict": VerdictExpected,
}
