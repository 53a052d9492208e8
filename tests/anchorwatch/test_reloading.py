"""A configuration that is read again: what changes at once, what waits, and that nothing accepted is lost by it."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.config import Pacing
from alerts.delivery.delivery import DeliveryOutcome
from alerts.stage import Alerts
from anchorwatch.configuration.differences import Part, Reload, compare, sections_of
from anchorwatch.configuration.loading import read_config
from anchorwatch.lab.receiver import Receiver
from anchorwatch.pipeline.reload import ConfigurationFile
from anchorwatch.pipeline.run import receivers_needed
from anchorwatch.pipeline.switching import SwitchedAlerts, SwitchedPolling
from collector.polling.status import PollingStatus
from schemas.faults import ConfigError, Transient
from schemas.messages import Act, Message, SelfReport
from tests.support.clock import ManualClock
from tests.support.daemons import free_port
from tests.support.desk import Desk, Recorder
from tests.support.findings import AT, finding
from tests.support.running import Lab, running

BASE = """\
inventory: [{path: inventory.yaml}]
vantages: [{name: corp, resolver: "10.0.0.1"}]
receivers: [{name: soc, type: webhook, url: "https://a.example/hunter2/in", secret_file: soc.key}]
routes: [{match: {severity: [critical, high]}, receiver: soc}]
"""
EVERYTHING = frozenset(Part)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text("identities:\n- {id: sa, endpoints: [a.example]}\n")
    (tmp_path / "more.yaml").write_text("identities:\n- {id: sb, endpoints: [b.example]}\n")
    (tmp_path / "soc.key").write_text("whsec_" + "A" * 32)
    (tmp_path / "http.token").write_text("0123456789abcdef")
    return tmp_path


def reloaded(folder: Path, after: str, live: frozenset[Part] = EVERYTHING, before: str = BASE) -> Reload:
    (folder / "a.yaml").write_text(before)
    old_sections, old = read_config(folder / "a.yaml")
    (folder / "a.yaml").write_text(after)
    new_sections, new = read_config(folder / "a.yaml")
    return compare(old, new, sections_of(old_sections), sections_of(new_sections), live=live)


@pytest.mark.parametrize(
    ("more", "parts", "waiting", "said"),
    [
        ("", set(), [], []),
        ("poll: {interval: 30s}", {"collector", "changes"}, [], ["poll.interval: '30s', before '60s'"]),
        ("poll: {timeout: 1s}", {"collector"}, [], ["poll.timeout: '1s', before '1500ms'"]),
        ("collectors: 2", {"collector"}, [], ["collectors: 2, before None"]),
        ("alerts: {repeat: 1h}", {"alerts"}, [], ["alerts.repeat: '1h', before '4h'"]),
        ("http: {public_url: 'https://w.example'}", {"alerts"}, ["http.public_url"], None),
        ("heartbeat: {url: 'https://h.example/5ecret'}", {"heartbeat"}, [], None),
        ("log: {level: debug}", set(), ["log.level"], ["log.level: 'debug', before 'info'"]),
        ("http: {listen: '127.0.0.1:9'}", set(), ["http.listen"], None),
        ("http: {token_file: http.token}", set(), ["http.token_file"], None),
        ("http: {read_token_file: http.token}", set(), ["http.read_token_file"], None),
        ("alerts: {ledger: other.sqlite}", set(), ["alerts.ledger"], None),
        ("outbound: {proxy: 'http://p.example:3128'}", {"alerts", "collector"}, ["outbound.proxy"], None),
    ],
)  # fmt: skip
def test_each_change_takes_what_it_needs(
    folder: Path, more: str, parts: set[str], waiting: list[str], said: list[str] | None
) -> None:
    found = reloaded(folder, BASE + more + "\n")

    assert set(found.parts) == parts
    assert list(found.waiting) == waiting
    assert said is None or list(found.said) == said
    assert len(found.said) == bool(more)
    assert "5ecret" not in str(found.said)


def test_where_the_history_is_needs_a_restart_and_so_does_the_ledger_beside_it(folder: Path) -> None:
    found = reloaded(folder, BASE + "history: {url: 'chdb:elsewhere'}\n")

    assert found.waiting == ("history.url",)
    assert found.config.history.url == "chdb:data"
    assert found.config.alerts.ledger == folder / "data" / "alerts.sqlite"


def test_what_needs_a_restart_is_named_again_until_there_is_one(folder: Path) -> None:
    (folder / "a.yaml").write_text(BASE)
    sections, config = read_config(folder / "a.yaml")
    (folder / "a.yaml").write_text(BASE + "log: {level: debug}\n")

    in_use = sections_of(sections)
    for _ in range(2):
        after, wanted = read_config(folder / "a.yaml")
        found = compare(config, wanted, in_use, sections_of(after), live=EVERYTHING)
        config, in_use = found.config, found.in_use
        assert found.waiting == ("log.level",)
        assert found.said == ("log.level: 'debug', before 'info'",)


def test_names_tell_what_is_new_and_what_is_gone_and_no_secret_is_shown(folder: Path) -> None:
    after = BASE.replace("name: soc, type: webhook", "name: ops, type: webhook").replace(
        "receiver: soc", "receiver: ops"
    )

    found = reloaded(folder, after)

    assert sorted(found.said)[:2] == ["receivers['ops']: new", "receivers['soc']: gone"]
    changed = reloaded(folder, BASE.replace("hunter2/in", "hunter2/out"))
    assert changed.said == (
        "receivers['soc'].url: a text that is not shown here (it may hold a secret), before a text that is not shown"
        " here (it may hold a secret)",
    )


def test_items_without_names_are_compared_one_by_one(folder: Path) -> None:
    found = reloaded(folder, BASE.replace("[critical, high]", "[critical]"))

    assert found.said == ("routes[0].match.severity: ['critical'], before ['critical', 'high']",)
    more = reloaded(folder, BASE.replace("receiver: soc}]", "receiver: soc}, {receiver: soc}]"))
    assert more.said == ("routes: 2 of them, before 1 of them",)


def test_a_secret_that_changes_in_its_file_counts(folder: Path) -> None:
    (folder / "a.yaml").write_text(BASE)
    sections, config = read_config(folder / "a.yaml")
    (folder / "soc.key").write_text("whsec_" + "B" * 32)
    after, wanted = read_config(folder / "a.yaml")

    found = compare(config, wanted, sections_of(sections), sections_of(after), live=EVERYTHING)

    assert found.parts == {Part.ALERTS}
    assert found.said == ("receivers: a file that it names has changed",)


def test_a_process_that_can_make_nothing_anew_names_all_that_waits(folder: Path) -> None:
    found = reloaded(folder, BASE + "poll: {interval: 30s}\nalerts: {repeat: 1h}\n", live=frozenset())

    assert found.parts == frozenset()
    assert set(found.waiting) == {"poll.interval", "alerts.repeat"}
    assert found.config.collector.interval_s == 60


class Told:
    """Takes what a file tells, and what it has made anew."""

    def __init__(self, *faults: Exception) -> None:
        self.messages: list[Message] = []
        self.applied: list[Reload] = []
        self.faults = list(faults)

    async def tell(self, messages: Sequence[Message]) -> None:
        self.messages += messages

    async def apply(self, reload: Reload) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.applied.append(reload)

    @property
    def details(self) -> list[str]:
        return [one.detail for one in self.messages if isinstance(one, SelfReport)]

    @property
    def acts(self) -> list[Act]:
        return [one for one in self.messages if isinstance(one, Act)]


def file_of(folder: Path, told: Told, text: str = BASE) -> ConfigurationFile:
    path = folder / "a.yaml"
    path.write_text(text)
    return ConfigurationFile(
        path, *read_config(path), live=EVERYTHING, apply=told.apply, tell=told.tell, clock=AT.timestamp
    )


async def read(file: ConfigurationFile, by: str = "signal") -> None:
    file.read_soon(by)
    await file.settled()


def test_a_configuration_with_a_mistake_changes_nothing_and_is_told_until_it_is_mended(folder: Path) -> None:
    told = Told()

    async def story() -> None:
        file = file_of(folder, told)
        (folder / "a.yaml").write_text(BASE + "poll: {interval: often}\n")
        await read(file)
        assert file.problems
        assert told.applied == []
        assert "'often' is no duration" in told.details[0]
        assert "in use is that of 2026-11-24" in told.details[0]
        (folder / "a.yaml").unlink()
        await read(file)
        assert "can't be read" in told.details[1]
        (folder / "a.yaml").write_text(BASE)
        await read(file)
        assert not file.problems

    asyncio.run(story())

    assert told.details[2:] == [""]
    assert told.acts == []


def test_what_is_different_is_logged_and_kept_as_an_act(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    caplog.set_level("INFO")

    async def story() -> None:
        file = file_of(folder, told)
        (folder / "a.yaml").write_text(BASE + "poll: {interval: 30s}\nlog: {level: debug}\n")
        await read(file, "http")
        await read(file)
        assert file.waiting == ("log.level",)

    asyncio.run(story())

    (act,) = told.acts
    assert (act.kind, act.by, act.subject) == ("reconfigure", "http", str(folder / "a.yaml"))
    assert (
        act.why == "poll.interval: '30s', before '60s'; log.level: 'debug', before 'info'; needs a restart: log.level"
    )
    assert told.details == []
    assert [one.parts for one in told.applied] == [{Part.COLLECTOR, Part.CHANGES}]
    assert {"difference": "poll.interval: '30s', before '60s'"}.items() <= caplog.records[0].__dict__.items()


def test_what_cannot_be_made_leaves_all_as_it_was_and_is_tried_again(folder: Path) -> None:
    told = Told(ConfigError(["no library for it"]))

    async def story() -> None:
        file = file_of(folder, told)
        (folder / "a.yaml").write_text(BASE + "poll: {interval: 30s}\n")
        await read(file)
        assert list(file.problems) == ["no library for it"]
        await read(file)
        assert not file.problems

    asyncio.run(story())

    assert len(told.applied) == 1
    assert told.details[-1] == ""


def test_what_is_asked_while_the_file_is_read_has_it_read_once_more(folder: Path) -> None:
    told = Told()

    async def story() -> None:
        file = file_of(folder, told)
        for interval in ("30s", "20s", "10s"):
            (folder / "a.yaml").write_text(BASE + f"poll: {{interval: {interval}}}\n")
            file.read_soon("signal")
        await file.settled()

    asyncio.run(story())

    assert told.applied[-1].config.collector.interval_s == 10


class Counted:
    """Polls ``batches`` times, then until it is stopped; hands one more batch on at its end."""

    def __init__(self, name: str) -> None:
        self.name, self.is_stopping, self.polls = name, False, 0

    async def observe(self) -> AsyncGenerator[Sequence[Any], None]:
        while not self.is_stopping:
            self.polls += 1
            yield (self.name,)
            await asyncio.sleep(0)
        self.polls += 1
        yield (f"{self.name}, the last",)

    def status(self) -> PollingStatus:
        return PollingStatus(polls=self.polls, watched=1, hosts=1)

    def observe_again(self, subjects: Sequence[tuple[str, str, str]]) -> None: ...

    def reload_soon(self) -> None: ...

    def stop(self) -> None:
        self.is_stopping = True


def test_who_polled_hands_on_all_before_the_next_one_begins_and_counts_go_on() -> None:
    first, second = Counted("a"), Counted("b")
    polling = SwitchedPolling(first)
    seen: list[str] = []

    async def story() -> None:
        async for batch in polling.observe():
            seen.extend(map(str, batch))
            if len(seen) == 2:
                polling.replace(second)
                assert not polling.is_stopping
            if len(seen) == 5:
                polling.stop()

    asyncio.run(story())

    assert seen == ["a", "a", "a, the last", "b", "b", "b, the last"]
    assert polling.status().polls == len(seen)
    assert polling.status().hosts == 1


class Slow(Recorder):
    """Takes what it is told only once it is let go."""

    def __init__(self) -> None:
        super().__init__(*[DeliveryOutcome(False, "connection refused", retry=True)] * 1000)

    def let_go(self) -> None:
        self.outcomes.clear()


def switched(desk: Desk, receivers: dict[str, Recorder], **changes: Any) -> Alerts:
    config = msgspec.structs.replace(desk.config, **changes)
    return Alerts(config, desk.ledger, receivers, desk.clock, patience_s=20.0, last_resort=desk.shouted.append)


def test_a_page_on_its_way_is_delivered_by_the_next_stage_under_its_id(tmp_path: Path, clock: ManualClock) -> None:
    desk = Desk(tmp_path, clock)
    slow = Slow()
    desk.stage = desk.staffed({"pager": slow, "backup": desk.backup})
    alerting = SwitchedAlerts(desk.stage)

    async def make() -> Alerts:
        return switched(desk, {"pager": slow, "backup": desk.backup})

    async def story() -> None:
        await alerting.handle([finding()])
        tried = set(slow.ids)
        assert slow.told == []
        alerting.replace(make)
        slow.let_go()
        clock.seconds += 3600
        await alerting.handle([])
        assert set(slow.ids) == tried

    asyncio.run(story())

    assert [event for event, cause in slow.told if cause == "bank.example."][:1] == ["trigger"]


def test_a_page_for_a_receiver_that_is_gone_still_arrives_there(tmp_path: Path, clock: ManualClock) -> None:
    desk = Desk(tmp_path, clock)
    slow = Slow()
    alerting = SwitchedAlerts(desk.staffed({"pager": slow, "backup": desk.backup}))
    new = Recorder()

    async def make() -> Alerts:
        kept = {"pager": slow} if "pager" in receivers_needed(desk.ledger) else {}
        routes = tuple(msgspec.structs.replace(one, receiver="new") for one in desk.config.routes)
        return switched(desk, {"new": new, **kept}, routes=routes)

    async def story() -> None:
        await alerting.handle([finding(zone="a.example.")])
        alerting.replace(make)
        await alerting.handle([finding(zone="b.example.")])
        slow.let_go()
        clock.seconds += 3600
        await alerting.handle([])

    asyncio.run(story())

    assert ("trigger", "a.example.") in slow.told
    assert ("trigger", "b.example.") in new.told
    assert ("trigger", "b.example.") not in slow.told


def test_a_page_that_waits_for_its_group_is_sent_by_the_next_stage(tmp_path: Path, clock: ManualClock) -> None:
    desk = Desk(tmp_path, clock, pacing=Pacing(group_wait_s=30, group_wait_critical_s=30))
    alerting = SwitchedAlerts(desk.stage)

    async def make() -> Alerts:
        assert receivers_needed(desk.ledger) == {"pager"}
        return switched(desk, {"pager": desk.pager, "backup": desk.backup})

    async def story() -> None:
        await alerting.handle([finding()])
        assert desk.pager.told == []
        alerting.replace(make)
        await alerting.handle([])
        clock.seconds += 60
        await alerting.handle([])

    asyncio.run(story())

    assert desk.pager.told == [("trigger", "bank.example.")]


def test_a_stage_that_cannot_be_made_yet_is_tried_again_and_its_batch_comes_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    desk = Desk(tmp_path, clock)
    alerting = SwitchedAlerts(desk.stage)
    faults = [Transient("the ledger can't be read")]

    async def make() -> Alerts:
        if faults:
            raise faults.pop()
        return switched(desk, {"pager": desk.pager, "backup": desk.backup})

    async def story() -> None:
        alerting.replace(make)
        with pytest.raises(Transient):
            await alerting.handle([finding()])
        await alerting.handle([finding()])

    asyncio.run(story())

    assert desk.pager.told == [("trigger", "bank.example.")]


LIVE = """\
inventory: [{{path: inventory.yaml}}]
vantages: [{{name: corp, resolver: "{resolver}"}}]
trust_anchors: {{path: "{anchors}"}}
poll: {{interval: {interval}}}
collectors: {collectors}
alerts: {{group_wait: 0s, group_wait_critical: 0s, group_interval: 0s, storm: 0}}
receivers: [{{name: {receiver}, type: webhook, url: "{hook}", secret_file: soc.key}}]
routes: [{{match: {{severity: [critical, high, medium, low]}}, receiver: {receiver}}}]
http: {{listen: "127.0.0.1:{port}"}}
log: {{level: {level}}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("collectors", [0, 1])
def test_a_running_process_takes_over_what_it_can_and_says_what_it_cannot(folder: Path, collectors: int) -> None:
    lab, hook, port = Lab(folder), Receiver("whsec_" + "A" * 32), free_port()
    given = {
        "resolver": lab.url, "anchors": lab.anchors, "interval": "1s", "collectors": collectors, "receiver": "soc",
        "hook": hook.url, "port": port, "level": "info",
    }  # fmt: skip
    config = folder / "anchorwatch.yaml"

    def write(**changes: object) -> None:
        config.write_text(LIVE.format(**(given | changes)))

    (folder / "inventory.yaml").write_text("identities:\n- {id: sa, endpoints: [api.bank.example]}\n")
    write()
    try:
        with running(config, f"http://127.0.0.1:{port}") as one:

            def metric(name: str) -> float:
                lines = one.get("/metrics").splitlines()
                return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{")))

            def reload() -> None:
                one.process.send_signal(signal.SIGHUP)

            one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "the first polls")
            lab.stage(lambda world: world.stage_expired("bank.example."))
            one.until(lambda: hook.arrived, "the page")
            # a mistake
            write(interval="often")
            reload()
            one.until(lambda: metric("anchorwatch_config_last_reload_successful") == 0, "the metric")
            one.until(
                lambda: [f for f in one.get("/api/v1/findings") if f["code"] == "self_configuration_invalid"],
                "the finding",
            )
            polls = metric("anchorwatch_polls_total")
            one.until(lambda: metric("anchorwatch_polls_total") > polls, "polling goes on")
            # another resolver's name, receiver, level; one inventory more
            (folder / "inventory.yaml").write_text(
                "identities:\n- {id: sa, endpoints: [api.bank.example]}\n- {id: sb, endpoints: [login.idp.example]}\n"
            )
            write(interval="2s", receiver="ops", level="debug")
            reload()
            one.until(lambda: metric("anchorwatch_config_last_reload_successful") == 1, "the metric")
            assert metric("anchorwatch_config_restart_pending") == 1
            one.until(lambda: len(one.get("/api/v1/endpoints")) == 4, "the second identity")
            assert metric("anchorwatch_polls_total") >= polls
            lab.stage(lambda world: world.stage_expired("idp.example."))
            one.until(lambda: [m for m in hook.arrived if m["data"]["cause"] == "idp.example."], "the second page")
            acts = [act for act in one.get("/api/v1/acts") if act["kind"] == "reconfigure"]
            assert "poll.interval: '2s', before '1s'" in acts[0]["why"]
            assert "needs a restart: log.level" in acts[0]["why"]
            one.until(
                lambda: [
                    f for f in one.get("/api/v1/findings?status=closed") if f["code"] == "self_configuration_invalid"
                ],
                "the end of the finding",
            )
            assert one.ask("/-/ready")[0] == 200
            assert one.end() == 0
    finally:
        hook.close()
        lab.close()
    triggered = [m["data"]["cause"] for m in hook.arrived if m["type"] == "incident.triggered"]
    assert triggered.count("bank.example.") == 1
    assert triggered.count("idp.example.") == 1
