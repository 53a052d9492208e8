"""The same world watched by one process and by a cluster whose parts are killed: both must say the same.

Two collectors, two analyzers and two alerts processes work over Apache Kafka and a history over HTTP.
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from anchorwatch.kafka.clients import open_consumer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.reading import read_to_end
from anchorwatch.kafka.topics import OBSERVATIONS, POLLS, full_name
from anchorwatch.pipeline.dead_letters import DeadLetter
from schemas.messages import Message, Observation, PollBatch, Subject
from schemas.wire import decode
from tests.support.builds import next_build
from tests.support.daemons import until
from tests.support.processes import Cluster, Process
from tests.support.watch import Instance, JsonObject, Watch
from tests.support.world import World

pytestmark = [pytest.mark.servers, pytest.mark.cluster]

STEADY_S = 3.0
AWAY_S = 30.0
ENDPOINTS = 13


def both(watch: Instance, cluster: Cluster) -> tuple[Watch, Watch]:
    return watch, cluster


def essence(finding: JsonObject) -> tuple[str, ...]:
    """Return what two observers of one world must agree on.

    Of a state that is its code and cause: while a zone goes over to other signatures, the instant of a poll decides
    which of its RRsets is met first. Of a drift it is everything.
    """
    affected = ",".join(sorted(identity["id"] for identity in finding["identities"]))
    keys = ["code", "kind", "severity", "cause_zone"]
    keys += ["cause_rrset", "before", "after"] if finding["kind"] == "drift" else []
    return (*(finding[key] for key in keys), str(finding["status"] == "closed"), affected)


def test_every_endpoint_gets_the_same_verdict(watch: Instance, cluster: Cluster) -> None:
    for one in both(watch, cluster):
        until(lambda one=one: len(one.verdicts()) == ENDPOINTS, "every endpoint has a verdict")  # type: ignore[misc]
        one.until_polled_for("api.bank.quay.", seconds=STEADY_S)

    assert cluster.verdicts() == watch.verdicts()
    assert cluster.told() == []


def test_both_collectors_work_and_share_the_endpoints(cluster: Cluster) -> None:
    shares = [cluster.metric(name, "anchorwatch_watched") for name in ("collector-1", "collector-2")]

    assert sum(shares) == ENDPOINTS
    assert min(shares) > 0
    for stage in ("analyzer", "alerts"):
        assert len(cluster.working(stage)) == 1, "one is active, the other stands by"


def test_killing_a_process_of_each_kind_loses_no_finding_and_pages_nobody_twice(
    world: World, watch: Instance, cluster: Cluster
) -> None:
    (active,), (teller,) = cluster.working("analyzer"), cluster.working("alerts")
    world.let_expire("bank.quay.")
    told = cluster.until_told("bank.quay.")

    cluster.kill_process("collector-1")
    cluster.kill_process(active)
    cluster.kill_process(teller)
    until(lambda: cluster.metric("collector-2", "anchorwatch_watched") == ENDPOINTS, "one collector has all the work")
    other = cluster.until_works("analyzer", active)
    other_teller = cluster.until_works("alerts", teller)
    world.swap_keys("idp.quay.")
    cluster.until_told("idp.quay.")
    cluster.start_process(cluster.processes["collector-1"])
    cluster.start_process(cluster.processes[active])
    cluster.start_process(cluster.processes[teller])
    until(lambda: cluster.metric("collector-1", "anchorwatch_watched") > 0, "the collector is back at work")
    world.sign_again("bank.quay.")
    world.sign_again("idp.quay.")

    assert cluster.until_told("bank.quay.", "resolved")["incident"] == told["incident"]
    cluster.until_told("idp.quay.", "resolved")
    for zone in ("bank.quay.", "idp.quay."):
        assert [one["type"] for one in cluster.told(zone)] == ["incident.triggered", "incident.resolved"]
    assert cluster.working("analyzer") == [other], "whoever took over goes on"
    assert cluster.working("alerts") == [other_teller]


def test_a_broker_that_restarts_loses_nothing(world: World, watch: Instance, cluster: Cluster) -> None:
    """Of three brokers one is killed and comes back only once all is told; the only one there is comes back at once."""
    cluster.until_verdict("api.fuel.quay.", "secure")
    restarts = {name: cluster.metric(name, "anchorwatch_restarts_total") for name in cluster.processes}

    broker = cluster.kafka.nodes[-1]
    broker.kill()
    world.remove_ds("fuel.quay.")
    time.sleep(STEADY_S)
    if len(cluster.kafka.nodes) == 1:
        broker.start()

    cluster.until_found("secure_to_insecure", "fuel.quay.")
    cluster.until_found("ds_changed", "fuel.quay.")
    cluster.until_told("fuel.quay.")
    if len(cluster.kafka.nodes) > 1:
        broker.start()
    assert restarts == {name: cluster.metric(name, "anchorwatch_restarts_total") for name in cluster.processes}, (
        "to stand by, or to wait, is no crash"
    )
    cluster.until_polled_for("api.fuel.quay.", seconds=STEADY_S)


def test_a_history_that_is_away_delays_and_everything_is_there_once_it_is_back(
    world: World, watch: Instance, cluster: Cluster
) -> None:
    cluster.until_verdict("api.vault.quay.", "secure")
    polls = cluster.metric("collector-2", "anchorwatch_polls_total")

    cluster.history.kill()
    world.let_expire("vault.quay.")
    time.sleep(AWAY_S)
    polled = cluster.metric("collector-2", "anchorwatch_polls_total") - polls
    cluster.start_history()

    assert polled > AWAY_S / 2, "polling goes on while the history is away"
    cluster.until_found("rrsig_expired", "vault.quay.", rrset="vault.quay. DNSKEY")
    cluster.until_told("vault.quay.")
    world.sign_again("vault.quay.")
    cluster.until_told("vault.quay.", "resolved")
    assert [one["type"] for one in cluster.told("vault.quay.")] == ["incident.triggered", "incident.resolved"]
    assert cluster.ever("api.vault.quay.") == {"secure", "bogus"}


def test_two_builds_work_side_by_side_while_one_replaces_the_other(
    world: World, watch: Instance, cluster: Cluster, tmp_path: Path
) -> None:
    build = next_build(tmp_path)
    (old,) = cluster.working("analyzer")
    new = next(name for name in ("analyzer-1", "analyzer-2") if name != old)

    cluster.upgrade("collector-2", build)
    cluster.upgrade(new, build)
    until(lambda: len(cluster.working("collector")) == 2, "a collector of each build has a share")
    world.let_expire("clearing.quay.")
    told = cluster.until_told("clearing.quay.")
    assert cluster.working("analyzer") == [old], "the newcomer stands by"

    for name in ("alerts-1", "alerts-2", old):
        cluster.upgrade(name, build)
    assert cluster.until_works("analyzer", old) == new
    world.sign_again("clearing.quay.")
    assert cluster.until_told("clearing.quay.", "resolved")["incident"] == told["incident"]
    cluster.upgrade("collector-1", build)
    until(lambda: len(cluster.working("collector")) == 2, "both collectors are of the next build")
    assert [one["type"] for one in cluster.told("clearing.quay.")] == ["incident.triggered", "incident.resolved"]
    assert dead_letters(cluster) == []


def test_a_killed_collector_leaves_no_name_unpolled_for_more_than_two_intervals(cluster: Cluster) -> None:
    interval_s, prefix = 20.0, "takeover"
    first, second = (
        cluster.make_process(f"collector-{number}", prefix=prefix, interval=f"{interval_s:g}s") for number in (1, 2)
    )
    try:
        for process in (first, second):
            cluster.start_process(process)
        until(lambda: cluster.works(first) and cluster.works(second), "both collectors have a share")
        until(lambda: shared_out(cluster, first, second), "both have endpoints")
        time.sleep(interval_s / 2)
        first.daemon.kill()
        until(lambda: cluster.metric_at(second, "anchorwatch_watched") == ENDPOINTS, "the other has all the work")
        time.sleep(interval_s * 1.5)
    finally:
        for process in (first, second):
            process.daemon.stop()

    config = KafkaConfig(brokers=cluster.brokers, prefix=prefix)
    turns = turns_of(config)
    gaps = {subject: max(b - a for a, b in pairwise(sorted(times))) for subject, times in turns.items()}
    assert len(gaps) == ENDPOINTS
    assert max(gaps.values()) <= timedelta(seconds=2 * interval_s), gaps


def shared_out(cluster: Cluster, *collectors: Process) -> bool:
    watched = [cluster.metric_at(one, "anchorwatch_watched") for one in collectors]
    return min(watched) > 0 and sum(watched) == ENDPOINTS


def turns_of(config: KafkaConfig) -> dict[Subject, list[datetime]]:
    """Return when each subject was polled, as the topics have it."""
    turns: dict[Subject, list[datetime]] = {}
    for message in (*messages_on(config, OBSERVATIONS), *messages_on(config, POLLS)):
        match message:
            case Observation():
                turns.setdefault(message.subject, []).append(message.observed_at)
            case PollBatch():
                for name, rdtype, at in zip(message.names, message.types, message.polled_at, strict=True):
                    turns.setdefault((name, rdtype, message.vantage), []).append(at)
    return turns


def messages_on(config: KafkaConfig, topic: str) -> list[Message]:
    """Return all that was ever sent to a topic."""
    consumer = open_consumer(config, "test", group=None)
    try:
        return [decode(record.value) for record in read_to_end(consumer, full_name(config, topic))]
    finally:
        consumer.close()


def test_in_the_end_both_have_found_and_told_the_same(watch: Instance, cluster: Cluster) -> None:
    for one in both(watch, cluster):
        one.until_polled_for("api.clearing.quay.", seconds=STEADY_S)

    states, drifts = (
        [
            sorted({essence(one) for one in w.findings() if (one["kind"] == "drift") is drift})
            for w in both(watch, cluster)
        ]
        for drift in (False, True)
    )
    assert states[1] == states[0]
    assert drifts[1] == drifts[0]
    for one in both(watch, cluster):
        assert list(opened_while_open(one.findings())) == []
    until(
        lambda: observed(cluster) == set(cluster.stored("SELECT id FROM observations")), "all that was seen is stored"
    )
    assert told(cluster) == told(watch)
    assert cluster.receiver.refused == 0
    assert dead_letters(cluster) == []


def opened_while_open(findings: list[JsonObject]) -> Iterator[tuple[JsonObject, JsonObject]]:
    """Yield states of one cause of which the second was opened before the first was over."""
    states = sorted((one for one in findings if one["kind"] == "state"), key=lambda one: (one["key"], one["opened_at"]))
    for earlier, later in pairwise(states):
        if earlier["key"] == later["key"] and (earlier["closed_at"] or "9") > later["opened_at"]:
            yield earlier, later


def told_after_the_end(cluster: Cluster) -> Iterator[JsonObject]:
    """Yield what a pager would ring for although its incident was resolved: a delivery that came again, late."""
    over = set()
    for one in cluster.receiver.all:
        if one["type"] == "incident.resolved":
            over.add(one["data"]["incident"])
        elif one["data"]["incident"] in over:
            yield one


def observed(cluster: Cluster) -> set[str]:
    """Return the ids of all observations that were ever sent."""
    sent = messages_on(KafkaConfig(brokers=cluster.brokers), OBSERVATIONS)
    return {message.id for message in sent if isinstance(message, Observation)}


def dead_letters(cluster: Cluster) -> list[DeadLetter]:
    return KafkaDeadLetters(KafkaConfig(brokers=cluster.brokers), "test").all()


def told(watch: Watch) -> list[tuple[str, str]]:
    """Return what the receiver was told: kind and cause, each as often as it was."""
    return sorted((one["type"], one["data"]["cause"]) for one in watch.told())


def test_every_process_ends_in_order(cluster: Cluster) -> None:
    assert cluster.exit_codes() == dict.fromkeys(cluster.processes, 0)
