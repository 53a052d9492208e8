"""What must hold of the world of real servers before anything is staged, and after all of it, in whatever order."""

from tests.support.daemons import until
from tests.support.watch import VANTAGE, JsonObject, Watch

STEADY_S = 3.0
SECURE = {
    *(
        "api.bank.quay. A",
        "api.bank.quay. AAAA",
        "login.bank.quay. A",
        "api.clearing.quay. A",
        "api.clearing.quay. AAAA",
    ),
    *("api.idp.quay. A", "www.idp.quay. A", "api.crane.quay. A", "api.crane.quay. AAAA", "api.vault.quay. A"),
    "api.fuel.quay. A",
}
INSECURE = {"label.parcel.quay. A", "api.plain.quay. A"}
VANTAGE_CAUSE = f"vantage {VANTAGE}"
STAGED = {
    ("bank.quay.", "rrsig_expired"),
    ("vault.quay.", "rrsig_expired"),
    ("idp.quay.", "dnskey_missing"),
    ("fuel.quay.", "secure_to_insecure"),
    ("fuel.quay.", "ds_changed"),
    (VANTAGE_CAUSE, "self_vantage_lost"),
}


def codes(findings: list[JsonObject]) -> list[str]:
    """Return the codes of findings, sorted."""
    return sorted(finding["code"] for finding in findings)


def check_sound(watch: Watch) -> None:
    """Require that every endpoint gets its verdict, and that nobody is notified of a sound world."""
    wanted = dict.fromkeys(SECURE, "secure") | dict.fromkeys(INSECURE, "insecure")
    until(lambda: len(watch.verdicts()) == len(wanted), "every endpoint has a verdict")
    watch.until_polled_for("api.bank.quay.", seconds=STEADY_S)

    assert watch.verdicts() == wanted
    assert codes(watch.findings()) == ["alias_exits_signed_space"], "declared in the inventory, so for information only"
    assert watch.told() == []


def check_only_staged(watch: Watch) -> None:
    """Require that nobody was notified but of what was staged, once each, and that each notification was signed."""
    watch.until_polled_for("api.clearing.quay.", seconds=STEADY_S)

    triggers = [told["data"] for told in watch.told() if told["type"] == "incident.triggered"]
    said = {(told["cause"], finding["code"]) for told in triggers for finding in told["findings"]}
    incidents = [told["incident"] for told in triggers]
    assert said <= STAGED
    assert sorted(incidents) == sorted(set(incidents)), "no incident rings twice"
    assert watch.receiver.refused == 0, "every notification was signed with the secret"
