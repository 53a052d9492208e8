"""BIND, NSD, Knot and Unbound do what they do to zones; anchorwatch must tell what is a fault and what is routine."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.daemons import PATIENCE_S, find_tool, until
from tests.support.soundness import SECURE, STEADY_S, VANTAGE_CAUSE, check_only_staged, check_sound, codes
from tests.support.watch import VANTAGE, Instance, JsonObject, Watch
from tests.support.world import World

pytestmark = [pytest.mark.servers, pytest.mark.slow]

QUICKLY_S = 10.0


@pytest.fixture(scope="module", autouse=True)
def nothing_but_what_is_staged(watch: Instance) -> Iterator[None]:
    """Every endpoint has its verdict before anything is staged, and nobody is ever paged for anything else."""
    check_sound(watch)
    yield
    check_only_staged(watch)


def anchorwatch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "anchorwatch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def validate(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    return anchorwatch("validate", *arguments, "--resolver", world.resolver, "--trust-anchor", world.anchor_file)


# once, without a database


@pytest.mark.parametrize(
    ("name", "rdtype", "verdict", "status"),
    [
        ("api.bank.quay", "A", "secure", 0),
        ("api.clearing.quay", "AAAA", "secure", 0),  # no such data, by NSEC3
        ("nowhere.idp.quay", "A", "secure", 0),  # no such name, by NSEC
        ("api.crane.quay", "A", "secure", 0),
        ("www.parcel.quay", "A", "secure", 0),
        ("api.plain.quay", "A", "insecure", 1),
        ("api.forged.quay", "A", "bogus", 2),
        ("api.dark.quay", "A", "indeterminate", 3),
    ],
)
def test_validate_says_by_its_exit_status_what_delv_says_too(
    world: World, name: str, rdtype: str, verdict: str, status: int
) -> None:
    done = validate(world, name, rdtype, "--json")

    judgement = json.loads(done.stdout)
    assert (judgement["verdict"], done.returncode) == (verdict, status), done.stdout + done.stderr
    assert ask_delv(world, name, rdtype) == ("bogus" if verdict == "indeterminate" else verdict)


def ask_delv(world: World, name: str, rdtype: str) -> str:
    """Return delv's verdict; what it can't resolve it does not tell apart from what is bogus."""
    command = [
        *(find_tool("delv") or "delv", "@127.0.0.1", "-p", str(world.port)),
        *("-a", str(world.delv_anchor_file), name, rdtype),
    ]
    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout
    if "fully validated" in said:
        return "secure"
    return "insecure" if "unsigned answer" in said else "bogus"


def test_validate_counts_a_wrong_question_as_unknown(world: World) -> None:
    assert validate(world, "api.bank.quay", "NOSUCHTYPE").returncode == 3
    assert validate(world).returncode == 3


def test_a_bogus_name_is_refused_by_unbound_as_well(world: World) -> None:
    judgement = json.loads(validate(world, "api.forged.quay", "--json").stdout)

    assert judgement["cause_zone"] == "forged.quay."
    assert [reason["code"] for reason in judgement["reasons"]] == ["rrsig_crypto_invalid"]
    assert judgement["resolver"]["rcode"] == "SERVFAIL"
    assert judgement["resolver"]["ede"], "Unbound says why by an extended error"


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (["www.parcel.quay", "ns.crane.quay"], 0),
        (["www.parcel.quay", "www.plain.quay"], 1),  # it expects secure
        (["www.parcel.quay", "www.plain.quay", "www.dark.quay", "www.forged.quay"], 2),
        (["www.parcel.quay", "www.plain.quay", "www.dark.quay"], 3),
    ],
)
def test_check_exits_as_monitoring_expects(world: World, tmp_path: Path, hosts: list[str], status: int) -> None:
    inventory = tmp_path / "inventory.yaml"
    endpoints = [{"host": host, "types": ["A"], "expect": "secure"} for host in hosts]
    inventory.write_text(json.dumps({"identities": [{"id": "sa-one", "endpoints": endpoints}]}))

    done = anchorwatch("check", inventory, "--resolver", world.resolver, "--trust-anchor", world.anchor_file)

    assert done.returncode == status, done.stdout + done.stderr


# for good


def test_a_zone_signed_again_in_time_is_no_news(world: World, watch: Watch) -> None:
    before = watch.until_verdict("api.clearing.quay.", "secure")
    began_at = datetime.fromisoformat(before["last_polled_at"])
    ended_at = datetime.fromisoformat(before["expires_at"])

    world.sign_again("clearing.quay.", left=timedelta(days=25))

    until(lambda: watch.ends_at("api.clearing.quay.") > ended_at, "the new signatures are seen")
    watch.until_polled_for("api.clearing.quay.", seconds=STEADY_S)
    assert watch.get("findings", zone="clearing.quay.") == []
    assert watch.told("clearing.quay.") == []
    assert watch.since(began_at, "api.clearing.quay.") == {"secure"}
    assert watch.since(began_at, "api.clearing.quay.", "AAAA") == {"secure"}


def test_expired_signatures_page_with_their_zone_as_the_cause_until_it_is_signed_again(
    world: World, watch: Watch
) -> None:
    watch.until_verdict("login.bank.quay.", "secure")

    world.let_expire("bank.quay.")

    finding = watch.until_found("rrsig_expired", "bank.quay.", rrset="bank.quay. DNSKEY")
    told = watch.until_told("bank.quay.")
    assert (finding["severity"], finding["kind"]) == ("critical", "state")
    assert [identity["id"] for identity in finding["identities"]] == ["sa-settlement"]
    assert watch.until_verdict("api.bank.quay.", "bogus")["cause_zone"] == "bank.quay."
    assert watch.until_verdict("login.bank.quay.", "bogus")["cause_zone"] == "bank.quay."
    assert (told["severity"], told["identities"][0]["owner"]) == ("critical", "payments")
    assert "rrsig_expired" in codes(told["findings"])
    incident = watch.incident(told["incident"])
    assert (incident["open"], incident["notified"]) == (True, {"soc": "critical"})

    world.sign_again("bank.quay.")

    resolved = watch.until_told("bank.quay.", "resolved")
    assert resolved["incident"] == told["incident"]
    assert not watch.incident(told["incident"])["open"]
    assert watch.findings("bank.quay.", status="open") == []
    assert set(codes(watch.findings("bank.quay."))) == {"rrsig_expired"}
    assert finding["id"] in [closed["id"] for closed in watch.findings("bank.quay.", status="closed")]
    assert {row["verdict"] for row in watch.get("endpoints") if ".bank.quay." in row["name"]} == {"secure"}
    assert [one["type"] for one in watch.told("bank.quay.")] == ["incident.triggered", "incident.resolved"]


def test_a_signing_key_rolled_by_knot_is_noted_and_pages_nobody(world: World, watch: Watch) -> None:
    before = watch.until_verdict("api.crane.quay.", "secure")
    began_at = datetime.fromisoformat(before["last_polled_at"])
    (old,) = world.zsk_tags("crane.quay.")

    world.roll_zsk("crane.quay.")
    (new,) = until(lambda: without(old, world.zsk_tags("crane.quay.")), "Knot has withdrawn the old key")

    def is_withdrawal(finding: JsonObject) -> bool:
        return f"ZSK {old} " in finding["before"] and f"ZSK {old} " not in finding["after"]

    until(lambda: any(map(is_withdrawal, watch.findings("crane.quay."))), "the last step of the rollover is noted")
    watch.until_polled_for("api.crane.quay.", seconds=STEADY_S)
    published, *_, withdrawn = sorted(watch.findings("crane.quay."), key=lambda finding: finding["opened_at"])
    assert {(one["code"], one["severity"]) for one in watch.findings("crane.quay.")} == {("key_rollover", "info")}
    assert f"ZSK {new} " in published["after"]
    assert f"ZSK {new} " not in published["before"]
    assert f"ZSK {old} " in withdrawn["before"]
    assert f"ZSK {old} " not in withdrawn["after"]
    assert watch.since(began_at, "api.crane.quay.") == {"secure"}
    assert watch.since(began_at, "api.crane.quay.", "AAAA") == {"secure"}
    assert watch.told("crane.quay.") == []


def without(old: int, tags: set[int]) -> set[int]:
    """Return the tags, none as long as the old one is among them."""
    return set() if old in tags else tags


def test_a_ds_removed_at_the_registry_pages_as_protection_lost(world: World, watch: Watch) -> None:
    before = watch.until_verdict("api.fuel.quay.", "secure")
    began_at = datetime.fromisoformat(before["last_polled_at"])

    world.remove_ds("fuel.quay.")

    lost = watch.until_found("secure_to_insecure", "fuel.quay.")
    changed = watch.until_found("ds_changed", "fuel.quay.")
    told = watch.until_told("fuel.quay.")
    assert (lost["kind"], lost["severity"], lost["before"], lost["after"]) == (
        "drift",
        "critical",
        "secure",
        "insecure",
    )
    assert changed["before"]
    assert changed["after"] == ""
    assert [identity["id"] for identity in lost["identities"]] == ["sa-fuelling"]
    assert told["severity"] == "critical"
    watch.until_polled_for("api.fuel.quay.", seconds=STEADY_S)
    assert watch.since(began_at, "api.fuel.quay.") == {"secure", "insecure"}
    assert codes(watch.findings("fuel.quay.")) == ["ds_changed", "secure_to_insecure"]
    assert len({one["data"]["incident"] for one in watch.told("fuel.quay.")}) == 1
    assert "secure" in watch.until_verdict("api.crane.quay.", "secure")["verdict"], "its neighbours are what they were"


def test_keys_swapped_behind_the_registrys_back_page_until_the_old_ones_sign_again(world: World, watch: Watch) -> None:
    watch.until_verdict("api.idp.quay.", "secure")

    world.swap_keys("idp.quay.")

    finding = watch.until_found("dnskey_missing", "idp.quay.", rrset="idp.quay. DNSKEY")
    told = watch.until_told("idp.quay.")
    assert (finding["severity"], finding["kind"]) == ("critical", "state")
    assert [identity["id"] for identity in finding["identities"]] == ["agent-support"]
    assert finding["endpoints"] == ["api.idp.quay. A", "www.idp.quay. A"], "one finding for all names below"
    assert told["severity"] == "critical"

    world.sign_again("idp.quay.")

    resolved = watch.until_told("idp.quay.", "resolved")
    assert resolved["incident"] == told["incident"]
    assert watch.findings("idp.quay.", status="open") == []
    assert set(codes(watch.findings("idp.quay."))) == {"dnskey_missing"}, "the old keys are back, so nothing has rolled"
    assert [one["type"] for one in watch.told("idp.quay.")] == ["incident.triggered", "incident.resolved"]


def test_a_resolver_that_died_is_one_finding_and_makes_nothing_bogus(world: World, watch: Watch) -> None:
    until(lambda: SECURE & set(watch.verdicts()), "endpoints are watched")
    known = {finding["id"] for finding in watch.get("findings")}

    world.kill_resolver()
    try:
        finding = watch.until_found("self_vantage_lost")
        told = watch.until_told(VANTAGE_CAUSE)
        watch.until_verdict("api.clearing.quay.", "indeterminate")
        watch.until_polled_for("api.clearing.quay.", seconds=STEADY_S)
        new = [one for one in watch.findings() if one["id"] not in known]
        assert codes(new) == ["self_vantage_lost"]
        assert finding["cause_zone"] == ""
        assert finding["vantages"] == [VANTAGE]
        assert "bogus" not in watch.verdicts().values()
        assert (told["cause"], told["severity"]) == (VANTAGE_CAUSE, "high")
    finally:
        world.start_resolver()

    resolved = watch.until_told(VANTAGE_CAUSE, "resolved")
    assert resolved["incident"] == told["incident"]
    closed = watch.until_found("self_vantage_lost", status="closed")
    assert closed["id"] == finding["id"]
    watch.until_verdict("api.clearing.quay.", "secure")
    watch.until_polled_for("api.clearing.quay.", seconds=STEADY_S)
    assert [one["code"] for one in watch.findings(status="open") if one["id"] not in known] == []
    assert [one["type"] for one in watch.told(VANTAGE_CAUSE)] == ["incident.triggered", "incident.resolved"]


def test_a_restart_opens_nothing_twice_and_keeps_the_history(world: World, watch: Instance) -> None:
    watch.until_verdict("api.vault.quay.", "secure")
    world.let_expire("vault.quay.")
    finding = watch.until_found("rrsig_expired", "vault.quay.", rrset="vault.quay. DNSKEY")
    told = watch.until_told("vault.quay.")
    known = {one["id"]: one["code"] for one in watch.findings()}
    intervals = {one["observation"]: one["verdict"] for one in watch.get("history", name="api.vault.quay.")}

    began = time.monotonic()
    status = watch.stop()
    took_s = time.monotonic() - began
    watch.start()

    assert status == 0
    assert took_s < QUICKLY_S
    until(lambda: watch.endpoint("api.vault.quay."), "the names are watched again")
    watch.until_polled_for("api.vault.quay.", seconds=STEADY_S)
    assert {one["id"]: one["code"] for one in watch.findings()} == known
    assert finding["id"] in [one["id"] for one in watch.findings("vault.quay.", status="open")]
    kept = {one["observation"]: one["verdict"] for one in watch.get("history", name="api.vault.quay.")}
    assert intervals.items() <= kept.items()
    assert {"secure", "bogus"} <= set(intervals.values())
    assert [one["type"] for one in watch.told("vault.quay.")] == ["incident.triggered"], "it is not said twice"

    world.sign_again("vault.quay.")

    assert watch.until_told("vault.quay.", "resolved")["incident"] == told["incident"]
    assert finding["id"] in [one["id"] for one in watch.findings("vault.quay.", status="closed")]
    assert {one["id"]: one["code"] for one in watch.findings()} == known
