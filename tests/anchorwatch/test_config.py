import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from alerts.receivers.webhook import Webhook
from anchorwatch.__main__ import cli
from anchorwatch.configuration.loading import load_config
from anchorwatch.configuration.rules import parse_rules
from anchorwatch.configuration.values import parse_duration
from collector.authorities.addresses import family_of, is_public
from collector.authorities.hints import ROOT_HINTS
from collector.config import Authorities
from collector.resolvers.identity import Identity
from schemas.faults import ConfigError
from tests.support.certificates import Authority

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
INVENTORY = "identities:\n- {id: sa, endpoints: [a.example]}\n"
SAID = {
    "a-list": "a mapping is expected",
    "anchors-not-there": "can't be read",
    "anchors-that-are-none": "a trust anchor is a DS or DNSKEY",
    "change-after-its-end": "it must be later than from",
    "change-by-nobody": "'who' is missing",
    "change-for-ever": "a window has at most 30 days",
    "change-of-a-zone-and-a-name": "say either 'zone' or 'name'",
    "change-of-answers-unsaid": "the new data are needed",
    "change-of-no-zone": "empty label",
    "change-of-something-else": "changes[0].what",
    "change-of-zone-answers": "say 'name' instead of 'zone'",
    "change-without-a-time-zone": ":2: changes[0].from",
    "command-without-words": "needs a 'command'",
    "digest-to-a-pager": ":3: digests.receiver: there is no receiver 'soc' that takes digests",
    "digest-to-nobody": "digests: say a 'receiver', or 'owners'",
    "digest-on-no-day": "digests.at: 'someday' is none of mon, tue",
    "digest-over-kafka-from-nobody": "digests.analyzer: it is needed over Kafka",
    "duplicate-key": ":3: poll: the key is there twice",
    "empty-inventory": "at least one source",
    "events-in-a-file-of-no-folder": ":2: receivers[0].path: an absolute path is expected",
    "events-on-a-topic-without-kafka": ":2: receivers[0]: it is a topic of the bus between the stages",
    "impossible-zone": "empty label",
    "inventory-api-in-a-strange-namespace": "each is a name that Kubernetes allows",
    "inventory-api-with-path": "an API server is https://host:port, or 'in-cluster'",
    "inventory-api-without-token": "asks for a 'token_file'",
    "inventory-asked-all-the-time": "inventory[0].every: 1s is less than 10s",
    "inventory-below-everything": "'**' is not read: name the folder",
    "inventory-folder-not-there": "there is no folder {folder}/teams",
    "inventory-headers-in-clear": "headers hold secrets, so the URL begins with https://",
    "inventory-headers-not-there": "there is no file {folder}/gone",
    "inventory-identity-with-a-secret": "a name of at most 200 characters without a secret",
    "inventory-not-there": "there is no file",
    "inventory-of-a-kind-that-is-none": "inventory[0].kind",
    "inventory-of-strange-format": "inventory[0].format: one of yaml",
    "inventory-of-two-kinds": "exactly one of 'path', 'url' and 'kubernetes' is needed",
    "inventory-token-of-a-file": "only a source with 'kubernetes' has it",
    "inventory-url-of-no-format": "the URL does not end as a file does",
    "inventory-url-with-user": "the URL has a user in it, so it is not shown",
    "inventory-of-unknown-format": "say 'format: yaml'",
    "listen-nowhere": "no address such as",
    "negative-skew": ":2: policy.skew_s",
    "no-duration": ":2: poll.interval: 'sixty' is no duration",
    "no-inventory": "'inventory' is missing",
    "norway": "quote it",
    "not-yaml": "not YAML",
    "pagerduty-without-key": "needs a 'routing_key_file'",
    "pin-that-is-none": ":2: vantages[0].pins[0]: a pin is the SHA-256 digest",
    "pins-over-udp": ":2: vantages[0].pins: only a resolver of tls:// or https:// can prove who it is",
    "pins-without-any": ":2: vantages[0].pins: the list is empty",
    "server-name-that-is-none": "vantages[0].server_name: 'https://dns.example' is no host name",
    "vantage-authority-not-there": "vantages[0].ca_file: {folder}/gone.pem can't be used: No such file or directory",
    "vantage-authority-that-is-none": "inventory.yaml can't be used: it holds no certificates in PEM",
    "receiver-of-a-strange-key": ":2: receivers[0].url: unknown key; known here: type, name",
    "receiver-without-type": "receivers[0]: the key 'type' is missing; one of webhook, pagerduty, console, command",
    "resolver-of-another-scheme": "begins with udp://",
    "route-to-events": "there is no receiver 'siem' that takes pages",
    "route-to-nobody": "there is no receiver 'nobody'",
    "rules-not-there": "can't be read",
    "maintenance-of-everything": "they match nearly every finding",
    "maintenance-at-no-time": "no time of the day",
    "maintenance-nowhere": "no time zone",
    "maintenance-for-ever": "longer than a week",
    "maintenance-on-no-day": "none of mon, tue",
    "maintenance-twice": "'x' is there twice",
    "matcher-that-is-none": "routes[0].matchers: there is no label team",
    "matcher-that-backtracks": "RE2 syntax",
    "tree-and-list": "say either 'route'",
    "tree-without-a-root": "the root needs a 'receiver'",
    "tree-of-some-findings": "the root takes everything",
    "owner-to-nobody": "there is no receiver 'b'",
    "escalation-to-nobody": "there is no receiver 'b'",
    "escalation-at-once": "less than 60s",
    "hook-token-that-is-guessed": ":2: receivers[0].webhook_token_file: a token has at least 20 signs",
    "hours-that-are-none": "alerts.hours has no 'office'",
    "group-by-what-is-no-label": "there is no label 'team'",
    "authoritative-twice": "the authoritative servers are one vantage, not several",
    "hints-not-there": "authoritative.hints: ",
    "hints-that-are-none": "not an NS, A or AAAA record",
    "stub-at-a-name": "authoritative.stubs.corp.example: 'ns.corp.example' is no IP address",
    "stub-without-servers": "authoritative.stubs.corp.example: no address of a server",
    "vantage-named-authoritative": "authoritative is the name of the authoritative servers, not of a resolver",
    "secret-in-the-file": ":2: receivers[0].secret: unknown key",
    "secret-not-there": "can't be read",
    "test-page-to-nobody": "alerts.test_page.receivers: there is no receiver 'soc' that takes pages",
    "test-page-at-no-time": "alerts.test_page.at: '9' is no time of the day",
    "too-often": "less than 1s",
    "unknown-bus": "'rabbit://x'",
    "unknown-code": "no finding 'rrsig_exired'",
    "unknown-history": "chdb:PATH or clickhouse://",
    "unknown-key": ":2: colour: unknown key",
    "unknown-profile": ":2: policy.profile",
    "unknown-receiver-type": "receivers[0].type: 'carrier-pigeon' is none of webhook, pagerduty, console, command",
    "unknown-severity": "routes[0].match.severity",
    "vantage-twice": "'a' is there twice",
    "webhook-of-another-body": ":2: receivers[0].body: one of alertmanager, ocsf, own is expected, not 'cef'",
    "webhook-without-url": "needs a 'url'",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "short.key").write_text("s3cret\n")
    return tmp_path


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_each_fault_is_named_with_its_place(folder: Path, path: Path) -> None:
    copy = folder / path.name
    copy.write_text(path.read_text())

    with pytest.raises(ConfigError) as caught:
        load_config(copy)

    assert all(problem.startswith(str(copy)) for problem in caught.value.problems)
    assert SAID[path.stem].replace("{folder}", str(folder)) in caught.value.problems[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("routes: [{match: {severity: critical}}]", "routes[0].match.severity: a list is expected: [critical]"),
        ("routes: [{match: {severity: hunter2+hunter2/hunter2}}]", "severity: a list is expected: [info]"),
        ("vantages: {name: a}", "vantages: a list is expected: [{name: …, resolver: …}], not a mapping"),
        ("vantages: [a]", "vantages[0]: a mapping is expected: {name: …, resolver: …}, not a text"),
        ("receivers: [console]", "receivers[0]: a mapping is expected: {type: …, name: …}, not a text"),
        ("receivers: [{type: slak, name: a}]", "teams, syslog, apprise, file, kafka; 'slack' is meant?"),
        (
            "routes: [{match: {severity: [critcal]}}]",
            "severity[0]: one of info, low, medium, high, critical is expected, not 'critcal'; 'critical' is meant?",
        ),
        ("log: {level: INFO}", "one of debug, error, info, warning is expected, not 'INFO'; 'info' is meant?"),
        ("poll: {intervall: 60s}", "poll.intervall: unknown key; 'interval' is meant?; known here: interval,"),
        ("poll: {interval: 60}", "poll.interval: a text such as 60s or 5m is expected, not a number"),
        ("poll:", "poll: a mapping is expected: {interval: …}, not nothing"),
        ("collectors: many", "collectors: a whole number from 0 to 256 is expected, not 'many'"),
        ("policy: {skew_s: -1}", "policy.skew_s: a whole number from 0 to 100000 is expected, not -1"),
        ("http: {protect_metrics: maybe}", "http.protect_metrics: true or false is expected, not 'maybe'"),
        ("inventory: [{path: a.csv, max_shrink: [1]}]", "max_shrink: a text or a number is expected, not a list"),
        ("unsigned_zones: [a.example, 7]", "unsigned_zones[1]: a text is expected, not a number"),
        (
            "alerts: {hours: {office: {from: '08:00', to: '18:00', colour: 1}}}",
            "alerts.hours.office.colour: unknown key",
        ),
        ("authoritative: {stubs: [a]}", "authoritative.stubs: a mapping is expected, not a list"),
        ("changes: [{who: a, what: [keys], from: soon, to: soon}]", "such as 2026-12-01T22:00:00Z, is expected"),
        ("vantages: [{name: 'a b', resolver: x}]", "at most 63, such as corp-dns is expected, not 'a b'"),
    ],
)
def test_the_wanted_form_is_said(folder: Path, line: str, said: str) -> None:
    config = folder / "anchorwatch.yaml"
    config.write_text(line + ("" if line.startswith("inventory") else "\ninventory: [{path: inventory.yaml}]\n"))

    with pytest.raises(ConfigError) as caught:
        load_config(config)

    assert said in caught.value.problems[0]
    assert "hunter2" not in str(caught.value.problems)


def test_a_document_nested_without_end_is_named(folder: Path) -> None:
    config = folder / "anchorwatch.yaml"
    config.write_text("inventory: " + "[" * 5000)

    with pytest.raises(ConfigError) as caught:
        load_config(config)

    assert list(caught.value.problems) == [f"{config}: nested deeper than any configuration"]


def test_all_problems_come_at_once(folder: Path) -> None:
    config = folder / "anchorwatch.yaml"
    config.write_text(
        "inventory: [{path: gone.yaml}]\npoll: {interval: often}\nvantages: [{name: a, resolver: 'ftp://x'}]\n"
        "receivers: [{name: a, type: webhook}]\nroutes: [{receiver: b}]\nhttp: {listen: x}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load_config(config)

    assert len(caught.value.problems) == 6


def test_all_that_is_wrong_with_how_resolvers_prove_who_they_are_comes_at_once(folder: Path) -> None:
    config = folder / "anchorwatch.yaml"
    config.write_text(
        "inventory: [{path: inventory.yaml}]\nvantages:\n"
        "- {name: a, resolver: 'udp://127.0.0.1', ca_file: gone.pem, server_name: dns.example, pins: []}\n"
        "- {name: b, resolver: 'authoritative:', server_name: dns.example}\n"
        "- {name: c, resolver: 'ftp://x', ca_file: '', pins: [x, y]}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load_config(config)

    assert [problem.partition("yaml:")[2].split(": ")[:2] for problem in caught.value.problems] == [
        ["3", "vantages[0].ca_file"],
        ["3", "vantages[0].server_name"],
        ["3", "vantages[0].pins"],
        ["3", "vantages[0].ca_file"],
        ["3", "vantages[0].pins"],
        ["4", "vantages[1].server_name"],
        ["5", "vantages[2].resolver"],
        ["5", "vantages[2].ca_file"],
        ["5", "vantages[2].pins[0]"],
        ["5", "vantages[2].pins[1]"],
    ]


def test_how_a_resolver_proves_who_it_is_can_be_set(folder: Path) -> None:
    authority = Authority(folder, "ours")
    pin = base64.b64encode(bytes(range(32))).decode()
    config = folder / "anchorwatch.yaml"
    config.write_text(
        "inventory: [{path: inventory.yaml}]\nvantages:\n"
        f"- {{name: a, resolver: 'tls://10.0.0.53', ca_file: ours.pem, server_name: dns.example, pins: ['{pin}']}}\n"
        "- {name: b, resolver: 'tls://dns.example'}\n"
    )

    first, second = load_config(config).collector.vantages

    assert first.address.identity == Identity(authority.path, "dns.example", (bytes(range(32)),))
    assert second.address.identity == Identity()


def test_the_shortest_configuration_is_an_inventory(folder: Path) -> None:
    config = folder / "anchorwatch.yaml"
    config.write_text("inventory: [{path: inventory.yaml}]\nvantages: [{name: corp, resolver: 127.0.0.1}]\n")

    loaded = load_config(config)

    assert loaded.collector.interval_s == 60
    assert loaded.history.url == "chdb:data"
    assert loaded.alerts.ledger == folder / "data" / "alerts.sqlite"
    assert sorted(ds.tag for ds in loaded.collector.anchors.by_zone[()].ds) == [20326, 38696]
    assert loaded.alerts.rules


def test_everything_can_be_set(folder: Path) -> None:
    (folder / "root.ds").write_text(". DS 1 13 2 " + "AB" * 32)
    (folder / "webhook.key").write_text("whsec_" + "A" * 32 + "\n")
    (folder / "rules.yaml").write_text("rules:\n- {name: all, match: {zone: ['*']}, receiver: soc}\n")
    config = folder / "anchorwatch.yaml"
    config.write_text(
        """
inventory: [{path: inventory.yaml, format: yaml}]
vantages: [{name: corp, resolver: "udp://10.0.0.53"}, {name: dot, resolver: "tls://dns.example"}]
trust_anchors: {path: root.ds}
poll: {interval: 1m30s, refresh: 12h, claim_every: 5, concurrency: 10, timeout: 500ms, attempts: 2}
policy: {profile: legacy, skew_s: 60, negative_trust_anchors: [a.example]}
unsigned_zones: [corp.example]
bus: {url: "local:"}
history: {url: "chdb:elsewhere"}
alerts: {rules: [rules.yaml], ledger: l.sqlite, repeat: 1h, drift_hold: 2d, join: 5m, max_attempts: 3}
receivers: [{name: soc, type: webhook, url: "https://x.example/", secret_file: webhook.key}]
routes: [{match: {severity: [critical]}, receiver: soc}]
changes:
- {zone: Bank.example, from: 2025-11-28T10:00:00+02:00, to: "2025-11-28T12:00:00Z", who: ana, what: [keys], why: roll}
- {name: a.example, from: 2025-11-28T00:00:00Z, to: 2025-11-28T12:00:00Z, who: b, what: [answers], answers: [192.0.2.7]}
http: {listen: "[::1]:9000"}
log: {level: debug, format: text}
"""
    )

    loaded = load_config(config)

    assert loaded.collector.interval_s == 90
    assert loaded.collector.policy.negative_trust_anchors == ("a.example", "corp.example")
    assert loaded.listen == ("::1", 9000)
    assert [(one.subject, one.begins_at.hour) for one in loaded.changes] == [
        ("bank.example.", 8),
        ("a.example.", 0),
    ]
    (receiver,) = loaded.alerts.receivers
    assert isinstance(receiver, Webhook)
    assert receiver.secret.startswith("whsec_")
    assert "whsec_" not in repr(loaded)


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("1m30s", 90), ("1.5h", 5400), ("2d", 172_800), ("250ms", 0.25)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "s", "60 s", "1h30", "-5s"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


def test_every_bad_rule_is_reported() -> None:
    rules, problems = parse_rules(
        "rules:\n- {name: a, match: {severity: [urgent]}}\n- {match: {}}\n- {name: c, colour: red}\n", "rules.yaml"
    )

    assert rules == ()
    assert [problem.split(":")[1] for problem in problems] == ["2", "3", "4"]


@pytest.mark.parametrize(("text", "share"), [("20%", 0.2), ("0.2", 0.2), ("35", 0.35), ("'12.5 %'", 0.125), ("0", 0.0)])
def test_how_much_of_a_source_may_be_gone_is_a_share(folder: Path, text: str, share: float) -> None:
    path = folder / "a.yaml"
    path.write_text(
        f"inventory: [{{path: inventory.yaml, max_shrink: {text}, accept_after: 2h}}]\ninventory_state: kept\n"
    )

    collector = load_config(path).collector

    assert collector.sources[0].max_shrink == pytest.approx(share)
    assert collector.sources[0].accept_after_s == 7200
    assert collector.state == folder / "kept"


@pytest.mark.parametrize("text", ["1", "101%", "-1", "much"])
def test_other_shares_are_refused(folder: Path, text: str) -> None:
    path = folder / "a.yaml"
    path.write_text(f"inventory: [{{path: inventory.yaml, max_shrink: {text}}}]\n")

    with pytest.raises(ConfigError, match=r"a share such as 20% or 0\.2"):
        load_config(path)


def test_the_authoritative_servers_are_asked_where_the_file_says_so(folder: Path) -> None:
    config = folder / "anchorwatch.yaml"
    (folder / "named.root").write_text("; ours\n. 60 IN NS ns.root.\nNS.root. 60 IN A 10.0.0.53:5300\n")
    config.write_text(
        "inventory: [{path: inventory.yaml}]\n"
        'vantages: [{name: auth, resolver: "authoritative:"}, {name: corp, resolver: "udp://10.0.0.1"}]\n'
        "authoritative:\n"
        "  hints: named.root\n"
        '  stubs: {corp.example: [10.0.0.2, "[fd00::2]:5353"]}\n'
        "  allow_private: true\n"
        "  sweep: 6h\n"
        "  rate: 5\n"
    )

    collector = load_config(config).collector

    assert collector.walked == ("auth",)
    assert collector.authorities == Authorities(
        vantage="auth",
        hints={"ns.root.": ("10.0.0.53:5300",)},
        stubs={"corp.example": ("10.0.0.2", "[fd00::2]:5353")},
        allow_private=True,
        sweep_s=6 * 3600.0,
        rate=5.0,
    )


@pytest.mark.parametrize(
    ("lines", "swept"),
    [
        ("", False),
        ("authoritative: {}\n", True),
        ('vantages: [{name: auth, resolver: "authoritative:"}]\n', True),
    ],
)
def test_zones_are_swept_only_where_the_file_speaks_of_authoritative_servers(
    folder: Path, lines: str, swept: bool
) -> None:
    config = folder / "anchorwatch.yaml"
    config.write_text(
        "inventory: [{path: inventory.yaml}]\n" + (lines or 'vantages: [{name: a, resolver: "10.0.0.1"}]\n')
    )

    assert (load_config(config).collector.authorities is not None) is swept


def test_the_shipped_root_servers_are_thirteen_with_two_addresses_each() -> None:
    assert len(ROOT_HINTS) == 13
    assert [sorted(map(family_of, found)) for found in ROOT_HINTS.values()] == [[4, 6]] * 13
    assert all(is_public(address) for found in ROOT_HINTS.values() for address in found)


ROUTED = """\
inventory: [{path: inventory.yaml}]
receivers: [{name: soc, type: console}, {name: pay, type: console}, {name: boss, type: console}]
alerts:
  group_wait_critical: 5s
  storm: 0
  hours: {office: {from: "08:00", to: "18:00", timezone: Europe/Zurich}}
route:
  receiver: soc
  escalate: [{after: 15m, receiver: boss}]
  routes:
    - {matchers: ["severity=~low|info"], hours: office, group_by: [owner], continue: true}
    - {owners: {payments: pay}, group_wait: 1m, repeat: 1h}
maintenance:
  - {name: night, matchers: ["environment=test"], days: [sat], from: "22:00", for: 4h, timezone: Europe/Zurich}
"""


def test_a_tree_of_routes_is_read_with_its_times(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "a.yaml").write_text(ROUTED)
    config = load_config(tmp_path / "a.yaml").alerts
    tree = config.route

    assert tree is not None
    assert (config.pacing.group_wait_s, config.pacing.group_wait_critical_s, config.pacing.storm) == (30.0, 5.0, 0)
    mild, owned = tree.routes
    assert (mild.continues, mild.group_by, mild.hours is not None) == (True, ("owner",), True)
    assert (owned.owners, owned.group_wait_s, owned.repeat_s) == ({"payments": "pay"}, 60.0, 3600.0)
    assert tree.escalate is not None
    assert (tree.escalate[0].after_s, tree.escalate[0].receiver) == (900.0, "boss")
    (night,) = config.maintenance
    assert (night.id, night.schedule.days) == ("maintenance night", (5,))


def test_where_a_finding_would_go_is_said_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "a.yaml").write_text(ROUTED)
    words = ["routes", "test", str(tmp_path / "a.yaml"), "code=rrsig_expired", "owner=payments", "owner=trading"]
    said = CliRunner().invoke(cli, words)

    assert said.exit_code == 0, said.output
    assert said.output.splitlines()[:6] == [
        "severity critical",
        "+ route: a route below takes it",
        '  - route.routes[0]: severity=~"low|info" does not fit',
        "  + route.routes[1]: goes to pay, soc",
        "pay: route route.routes[1], group_by cause, group_wait 60s, critical 5s, group_interval 300s, repeat 3600s,"
        " escalates after 15 min to boss",
        "soc: route route.routes[1], group_by cause, group_wait 60s, critical 5s, group_interval 300s, repeat 3600s,"
        " escalates after 15 min to boss",
    ]
    found = json.loads(CliRunner().invoke(cli, [*words, "severity=low", "--json"]).output)
    assert list(found["receivers"]) == ["soc", "pay"]
    assert found["receivers"]["soc"]["hours"] == "office"
    for bad, why in (
        ("owner=a", "exactly one code"),
        ("code=nope", "no code nope"),
        ("code!=ds_changed", "LABEL=VALUE"),
    ):
        assert why in CliRunner().invoke(cli, ["routes", "test", str(tmp_path / "a.yaml"), bad]).output


def test_sources_of_all_kinds_are_read(folder: Path) -> None:
    (folder / "teams").mkdir()
    (folder / "token").write_text("hunter2")
    config = folder / "c.yaml"
    config.write_text(
        "inventory:\n"
        "- {path: teams, owner: ops, criticality: high}\n"
        "- {path: 'teams/*/mcp.json', identity: desk}\n"
        "- {path: inventory.yaml}\n"
        "- {url: 'https://cmdb.example/inv.csv?id=hunter2', headers_file: token, every: 1m}\n"
        "- {url: 'https://cmdb.example/export', format: oidc}\n"
        "- {kubernetes: 'https://api.example:6443/', token_file: token, namespaces: [prod], env_urls: true}\n"
        "- {kubernetes: in-cluster}\n"
        "outbound: {no_proxy: [cmdb.example]}\n"
    )

    sources = load_config(config).collector.sources

    one, pattern, file, table, export, api, inside = sources
    assert one.is_folder
    assert one.defaults == {"owner": "ops", "criticality": "high"}
    assert (pattern.root, pattern.pattern, pattern.identity) == (folder / "teams", "*/mcp.json", "desk")
    assert (file.format, table.format, export.format, api.format) == ("", "csv", "oidc", "kubernetes")
    assert table.web is not None
    assert (table.web.headers_path, table.web.every_s) == (str(folder / "token"), 60.0)
    assert table.web.egress.no_proxy == ("cmdb.example",)
    assert api.web is not None
    assert (api.web.url, api.web.namespaces, api.env_urls) == ("https://api.example:6443", ("prod",), True)
    assert inside.web is not None
    assert inside.web.token_path.startswith("/var/run/secrets/kubernetes.io/serviceaccount")
    assert not any("hunter2" in source.key for source in sources)
    assert len({source.key for source in sources}) == 7
