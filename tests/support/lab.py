"""Worlds to validate: a root, a TLD, a zone, each as a test wants it; answers can be bent."""

from collections.abc import Callable
from datetime import UTC, datetime

import dns.flags
import dns.message
import dns.name
from dns.rdatatype import RdataType

from anchorwatch.lab.world import World
from anchorwatch.lab.zones import Nsec3Params, Zone, generate_key
from collector.dnssec import names, records
from collector.dnssec.anchors import parse_anchors
from collector.dnssec.budget import Budget
from collector.dnssec.context import Context
from collector.dnssec.judgement import make_judgement
from collector.dnssec.message import read_response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, FetchFailure, Reply, drive
from collector.dnssec.validation import validate
from schemas.judgement import Judgement

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)

Bend = Callable[[Ask, dns.message.Message], dns.message.Message | FetchFailure | None]


class Lab:
    """A root, ``test.`` and ``zone.test.``; add records, then ``judge``. The keys are made once."""

    KEYS = tuple((generate_key(13, entry=True), generate_key(13)) for _ in range(3))

    def __init__(self, nsec3: Nsec3Params | None = None) -> None:
        self.world = World()
        root, tld, zone = (
            self.world.add(Zone(dns.name.from_text(name), keys=list(pair)))
            for name, pair in zip((".", "test.", "zone.test."), self.KEYS, strict=True)
        )
        self.root, self.tld, self.zone = root, tld, zone
        zone.nsec3 = nsec3
        tld.nsec3 = nsec3
        for one in (root, tld, zone):
            one.add("@", "NS", "ns.test.")
        zone.add("www", "A", "192.0.2.1")
        tld.add("zone", "NS", "ns.test.")
        root.add("test", "NS", "ns.test.")
        tld.add("ns", "A", "192.0.2.53")
        self.bend: Bend | None = None
        self.asked: list[Ask] = []
        self.rdtype = "A"
        self.policy: Policy | None = None
        self.sign()
        self.anchors = parse_anchors("\n".join(f". IN DS {ds}" for ds in self.root.ds_records()), "lab")

    def sign(self, *, ds: bool = True, at: datetime = AT) -> None:
        """Sign all from the bottom up; without ``ds`` the zone is an insecure delegation."""
        self.zone.sign(at)
        if ds:
            self.tld.add("zone", "DS", *self.zone.ds_records())
        else:
            self.tld.remove("zone", "DS")
        self.tld.sign(at)
        self.root.add("test", "DS", *self.tld.ds_records())
        self.root.sign(at)

    def reply(self, asked: Ask) -> Reply:
        self.asked.append(asked)
        name = dns.name.from_text(names.to_text(asked.name))
        query = dns.message.make_query(name, RdataType.make(asked.rdtype), want_dnssec=True, flags=dns.flags.CD)
        response = self.world.respond(query)
        bent = self.bend(asked, response) if self.bend is not None else None
        message = bent or response
        return message if isinstance(message, FetchFailure) else read_response(message.to_wire(max_size=65535))

    def judge(self, name: str, rdtype: str = "A", policy: Policy | None = None, at: datetime = AT) -> Judgement:
        policy = policy or Policy()
        context = Context(int(at.timestamp()), self.anchors, policy, Budget(policy), {})
        qname, qtype = names.from_text(name), records.type_from_text(rdtype)
        result = drive(validate(context, qname, qtype), self.reply)
        self.context = context
        judgement = make_judgement(context, result, qname, qtype, "lab")
        unsaid = [why.detail for why in (*judgement.reasons, *judgement.remarks) if "?" in why.detail]
        assert unsaid == [], "a fault lacks what its sentence shows"
        return judgement
