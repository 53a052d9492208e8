"""A few names of a small signed world, polled by the watch on a virtual clock; every reply may be bent or held back."""

import heapq
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.flags
import dns.message
import dns.name
from dns.rdatatype import RdataType

from anchorwatch.lab.server import LabResolver
from collector.config import CollectorConfig, InventorySource, VantagePoint
from collector.dnssec import names, records
from collector.dnssec.message import read_response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import FetchFailure, Reply
from collector.polling.memory import PollTarget
from collector.polling.roster import RosterChange
from collector.polling.watch import Watch
from collector.resolvers.address import Address
from collector.resolvers.dialogue import Posed, Question
from schemas.judgement import Judgement
from schemas.messages import Message, Observation
from tests.support.lab import Lab

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)
VANTAGE = "lab"
LATENCY_S, PATIENCE_S = 0.02, 1.5

Bend = Callable[[Question, dns.message.Message], dns.message.Message | FetchFailure | None]


class Polled:
    """``zone.test.`` and what lies below, signed at the beginning; hosts are given as "name TYPE".

    ``bend`` may change a response, or return a failure; ``takes_s`` says how long a reply is under way. Our clock is
    ``skew_s`` ahead of the world's.
    """

    def __init__(
        self,
        *hosts: str,
        lab: Lab | None = None,
        interval_s: float = 60.0,
        claim_every: int = 10,
        refresh_s: float = 86_400.0,
    ) -> None:
        self.lab = lab or Lab()
        self.bend: Bend = lambda question, response: None
        self.takes_s: Callable[[Question], float] = lambda question: LATENCY_S
        self.now = self.skew_s = 0.0
        self.asked: list[Question] = []
        self.said: list[Message] = []
        self._resolver = LabResolver(self.lab.world, self.lab.anchors, lambda: BEGIN.timestamp() + self.now)
        self._under_way: list[tuple[float, int, Reply]] = []
        self.watch = Watch(
            CollectorConfig(
                sources=(InventorySource(path=Path("inventory.yaml"), format="yaml"),),
                vantages=(VantagePoint(name=VANTAGE, address=Address("udp", "127.0.0.1", 53)),),
                anchors=self.lab.anchors,
                policy=Policy(),
                interval_s=interval_s,
                claim_every=claim_every,
                refresh_s=refresh_s,
            )
        )
        self.add(*hosts)

    def add(self, *hosts: str) -> None:
        """Watch these, too."""
        self.watch.change(RosterChange(len(hosts), [(target_of(host), ("test", VANTAGE)) for host in hosts]), self.now)

    @property
    def at(self) -> datetime:
        """Return what the world's clocks say."""
        return BEGIN + timedelta(seconds=self.now)

    def look_at_clocks(self) -> None:
        """Have the watch compare its clocks."""
        self.watch.check_clocks(self.now, self._our_at())

    def pass_s(self, seconds: float) -> "Polled":
        """Let everything happen that happens within so many seconds, one thing after another."""
        end = self.now + seconds
        while True:
            reply_at = self._under_way[0][0] if self._under_way else float("inf")
            self.now = max(self.now, min(self.watch.next_due_at(), reply_at))
            if self.now >= end:
                self.now = end
                self.said += self.watch.take_messages()
                return self
            if reply_at <= self.now:
                _, ticket, reply = heapq.heappop(self._under_way)
                self._put(self.watch.take(ticket, reply, self.now, self._our_at()))
            else:
                self._put(self.watch.due(self.now, self._our_at()))

    def observed(self, since: int = 0) -> list[Judgement]:
        """Return what was observed of the names, in order, ``since`` so many messages."""
        return [message.judgement for message in self.said[since:] if isinstance(message, Observation)]

    def _our_at(self) -> float:
        return BEGIN.timestamp() + self.now + self.skew_s

    def _put(self, posed: Sequence[Posed]) -> None:
        for ticket, question in posed:
            self.asked.append(question)
            reply = self._reply(question)
            takes_s = PATIENCE_S if isinstance(reply, FetchFailure) else self.takes_s(question)
            heapq.heappush(self._under_way, (self.now + takes_s, ticket, reply))

    def _reply(self, question: Question) -> Reply:
        query = dns.message.make_query(
            dns.name.from_text(names.to_text(question.name)),
            RdataType.make(question.rdtype),
            want_dnssec=question.edns,
            use_edns=0 if question.edns else -1,
            flags=dns.flags.RD | (dns.flags.CD if question.checking_disabled else 0),
        )
        wire = self._resolver.reply_to(query.to_wire(), stream=True)
        assert wire is not None
        response = dns.message.from_wire(wire)
        bent = self.bend(question, response)
        if isinstance(bent, FetchFailure):
            return bent
        return read_response(bent.to_wire(max_size=65535) if bent is not None else wire)


def target_of(host: str) -> PollTarget:
    """Return the subject that "name TYPE" stands for."""
    name, rdtype = host.split()
    return PollTarget(names.from_text(name), records.type_from_text(rdtype), VANTAGE)
