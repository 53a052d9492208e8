"""Scenarios of tests: a world at its start that can be asked, and runs."""

from pathlib import Path

from dns.rdatatype import RdataType

from anchorwatch.replay.deeds import Deeds
from anchorwatch.replay.judging import Outcome, judge
from anchorwatch.replay.reading import parse_scenario, read_scenario
from anchorwatch.replay.record import Record
from anchorwatch.replay.running import run_scenario
from anchorwatch.replay.scenario import Scenario
from anchorwatch.replay.setting import build_world
from collector.dnssec import names
from collector.dnssec.message import Response
from collector.resolvers.dialogue import Question

SCENARIOS = Path(__file__).parents[2] / "scenarios"


class Asked:
    """A world whose resolver and servers are asked by a test, at the times that it says."""

    def __init__(self, text: str) -> None:
        self.scenario = parse_scenario(text, "test.yaml")
        self.world = build_world(self.scenario)
        self._deeds = Deeds(self.world, f"{self.scenario.seed}")

    def at(self, now: float) -> "Asked":
        """Let time pass until an instant, and do what the scenario's steps say on the way."""
        before = self.world.now
        for step in self.scenario.steps:
            if before < step.at <= now:
                self.world.advance(step.at)
                self._deeds.do(step.word)
        self.world.advance(now)
        return self

    def ask(self, name: str, rdtype: str = "A", *, cd: bool = False, edns: bool = True, server: str = "") -> Response:
        """Return what the resolver says to a client, or a server to whoever asks it."""
        number = int(RdataType.from_text(rdtype))
        question = Question("resolver", names.from_text(name), number, checking_disabled=cd, edns=edns, server=server)
        reply, self.took_s = self.world.ask(question)
        assert isinstance(reply, Response), reply
        return reply

    def ttl(self, response: Response, name: str, rdtype: str = "A") -> int:
        """Return the TTL of an RRset in the answer."""
        return response.answer[names.from_text(name), int(RdataType.from_text(rdtype))].ttl

    def data(self, response: Response, name: str, rdtype: str = "A") -> list[str]:
        """Return the addresses in an RRset of the answer."""
        rrset = response.answer.get((names.from_text(name), int(RdataType.from_text(rdtype))))
        return [".".join(map(str, rdata)) for rdata in rrset.rdatas] if rrset is not None else []


def run(text: str, *, restarts: int = 0, seed: int = 0) -> tuple[Scenario, Record, list[Outcome]]:
    """Return a scenario, what happened in it, and what became of its expectations."""
    scenario = parse_scenario(text, "test.yaml")
    record = run_scenario(scenario, restarts=restarts, seed=seed)
    return scenario, record, judge(scenario, record)


def shipped(name: str) -> Scenario:
    """Return a scenario that ships."""
    return read_scenario(SCENARIOS / f"{name}.yaml")
