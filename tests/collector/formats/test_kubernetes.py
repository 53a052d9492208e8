"""Manifests as clusters and repositories have them."""

import json
import time
from typing import Any

import pytest

from collector.inventory.formats.known import Document, Options, read_documents
from collector.inventory.rows import Inventory
from schemas.messages import Identity

SETTLEMENT = """
apiVersion: v1
kind: ServiceAccount
metadata:
  name: settlement
  namespace: prod
  labels: {team: payments}
  annotations:
    anchorwatch.io/criticality: critical
    anchorwatch.io/endpoints: "api.partner.example:443, https://token.idp.example/oauth"
    anchorwatch.io/expect: secure
"""


def read(text: str, *, env_urls: bool = False, **defaults: str) -> Inventory:
    options = Options("kubernetes", env_urls=env_urls, defaults=defaults, keeps_places=True)
    return read_documents([Document("", "k.yaml", text.encode())], options)


def hosts(inventory: Inventory) -> dict[str, list[str]]:
    return {one.id: [endpoint.host for endpoint in one.endpoints] for one in inventory.identities}


def only(inventory: Inventory) -> Identity:
    assert inventory.problems == ()
    (identity,) = inventory.identities
    return identity


def test_a_service_account_consumes_what_its_annotation_says() -> None:
    inventory = read(SETTLEMENT)

    identity = only(inventory)
    assert (identity.id, identity.kind, identity.owner, identity.criticality) == (
        "prod/settlement",
        "service_account",
        "payments",
        "critical",
    )
    assert [(one.host, one.port, one.expect, one.origin) for one in identity.endpoints] == [
        ("api.partner.example", 443, "secure", "ServiceAccount prod/settlement"),
        ("token.idp.example", None, "secure", "ServiceAccount prod/settlement"),
    ]
    assert inventory.places["prod/settlement", "api.partner.example"] == "k.yaml:2"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Deployment", {"template": {"spec": {"serviceAccountName": "web"}}}),
        ("StatefulSet", {"template": {"spec": {"serviceAccount": "web"}}}),
        ("DaemonSet", {"template": {"spec": {"serviceAccountName": "web"}}}),
        ("Job", {"template": {"spec": {"serviceAccountName": "web"}}}),
        ("CronJob", {"jobTemplate": {"spec": {"template": {"spec": {"serviceAccountName": "web"}}}}}),
        ("Pod", {"serviceAccountName": "web"}),
    ],
)
def test_a_workload_speaks_for_its_service_account(kind: str, spec: dict[str, Any]) -> None:
    meta = {"name": "w", "namespace": "prod", "annotations": {"anchorwatch.io/endpoints": "a.test"}}

    inventory = read(json.dumps({"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": spec}))

    assert hosts(inventory) == {"prod/web": ["a.test"]}
    assert only(inventory).endpoints[0].origin == f"{kind} prod/w"


def test_annotations_of_the_pods_of_a_workload_count_and_the_default_account_is_default() -> None:
    meta = {"annotations": {"anchorwatch.io/endpoints": "a.test b.test"}}
    body = {
        "apiVersion": "v1",
        "kind": "Deployment",
        "metadata": {"name": "w"},
        "spec": {"template": {"metadata": meta}},
    }

    assert hosts(read(json.dumps(body))) == {"default/default": ["a.test", "b.test"]}


STREAM = """
# Source: chart
apiVersion: v1
kind: Namespace
metadata: {name: prod, labels: {env: production, owner: platform}}
---
apiVersion: v1
kind: Service
metadata: {name: partner, namespace: prod, annotations: {anchorwatch.io/service-account: settlement}}
spec: {type: ExternalName, externalName: API.Partner.example.}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec: {type: ClusterIP, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, namespace: prod}
spec:
  hosts: ["soap.bank.example", "*.cdn.example", "192.0.2.7"]
  ports: [{number: 8443, name: https, protocol: TLS}]
  location: MESH_EXTERNAL
  resolution: DNS
  endpoints: [{address: eu.bank.example}, {address: 192.0.2.9}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: egress, namespace: prod}
spec:
  endpointSelector: {matchLabels: {io.cilium.k8s.policy.serviceaccount: settlement}}
  egress:
  - toFQDNs: [{matchName: api.clearing.example}, {matchPattern: "*.s3.example"}]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
---
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: all}
specs:
- endpointSelector: {}
  egress: [{toFQDNs: [{matchName: time.example}]}]
"""


def test_what_a_cluster_declares_for_the_world_outside_is_watched() -> None:
    inventory = read(STREAM)

    assert inventory.problems == ()
    assert hosts(inventory) == {
        "*/*": ["time.example"],
        "prod/*": ["soap.bank.example", "eu.bank.example"],
        "prod/settlement": ["api.partner.example", "api.clearing.example"],
    }
    by_id = {one.id: one for one in inventory.identities}
    assert (by_id["prod/*"].owner, by_id["prod/*"].environment, by_id["prod/*"].kind) == (
        "platform",
        "production",
        "workload",
    )
    assert {one.port for one in by_id["prod/*"].endpoints} == {8443}


def test_what_can_not_be_watched_by_its_nature_is_noted_with_its_place_and_is_no_problem() -> None:
    notes = read(STREAM).notes

    assert len(notes) == 4
    assert any("k.yaml:17: ServiceEntry prod/bank" in one and "wildcard" in one for one in notes)
    assert any("IP address" in one for one in notes)
    assert any("CiliumNetworkPolicy prod/egress: a matchPattern names no host" in one for one in notes)


@pytest.mark.parametrize("typed", [True, False])
def test_a_list_of_kubectl_is_read_and_one_of_the_server_whose_items_do_not_say_their_kind(typed: bool) -> None:
    item: dict[str, Any] = {"metadata": {"name": "p", "namespace": "x"}, "spec": {"type": "ExternalName"}}
    item["spec"]["externalName"] = "a.test"
    if not typed:
        item |= {"apiVersion": "v1", "kind": "Service"}

    document = {"apiVersion": "v1", "kind": "ServiceList" if typed else "List", "items": [item]}

    assert hosts(read(json.dumps(document))) == {"x/*": ["a.test"]}


ENVIRONMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "prod"},
    "spec": {
        "template": {
            "spec": {
                "serviceAccountName": "web",
                "containers": [
                    {
                        "env": [
                            {"name": "URL", "value": "https://user:hunter2@api.test:8443/v1?key=hunter2"},
                            {"name": "DSN", "value": "postgres://svc:hun/ter2@db.test/x@y"},
                            {"name": "TOKEN", "value": "hunter2"},
                            {"name": "OTHER", "valueFrom": {"secretKeyRef": {"name": "hunter2"}}},
                            {"name": "TEMPLATE", "value": "https://$(HOST)/hunter2"},
                        ],
                        "args": ["--issuer=https://idp.test/hunter2", "--password=hunter2", "http://sidecar:80"],
                    }
                ],
            }
        }
    },
}


def test_urls_in_the_environment_count_only_where_that_is_asked_for_and_nothing_secret_is_kept() -> None:
    text = json.dumps(ENVIRONMENT)

    assert read(text).identities == ()
    inventory = read(text, env_urls=True)

    assert hosts(inventory) == {"prod/web": ["api.test", "idp.test"]}
    assert "hunter2" not in repr(inventory)
    assert len(inventory.broken) == 1, "the connection string that could mean two hosts"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: '<b>x'}\n",
            "k.yaml:1: an object of kind Service without a name",
        ),
        ("apiVersion: v1\nkind: ServiceAccount\nmetadata: [x]\n", "without a name"),
        (
            SETTLEMENT.replace("io/expect", "io/expcet"),
            "unknown annotation anchorwatch.io/'expcet'; 'expect' is meant?",
        ),
        (SETTLEMENT.replace("expect: secure", "expect: pw:hunter2"), "'expect' is one of"),
        (SETTLEMENT.replace("api.partner.example", "api..example"), "empty label"),
        (SETTLEMENT.replace('"api', '{x: "api').replace('oauth"', 'oauth"}'), "endpoints is a text"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {type: ExternalName}\n", "a host name or a URL"),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {type: ExternalName, externalName: [a]}\n",
            "a host name or a URL",
        ),
        ("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: x}\nspec: {hosts: a}\n", "'hosts'"),
        ("apiVersion: v1\nkind: List\nitems: [1]\n", "has a 'kind'"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {serviceAccountName: 'a b'}\n", "its service account"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_leaves_its_neighbours(text: str, problem: str) -> None:
    neighbour = STREAM.partition("---")[2]

    inventory = read(f"{text.lstrip()}---{neighbour}")

    assert problem in " | ".join(inventory.problems)
    assert "api.clearing.example" in hosts(inventory)["prod/settlement"]
    assert "hunter2" not in repr(inventory)


@pytest.mark.parametrize("broken", ["a: [", "a: b: c", "kind: x\nkind: y", "\tx", "a: *b", "- " * 200, "a: &a [*a]"])
def test_a_document_that_is_no_yaml_leaves_the_others(broken: str) -> None:
    inventory = read(f"{broken}\n---\n{STREAM}\n---\n{broken}\n")

    assert len(inventory.problems) == 2
    assert len(inventory.identities) == 3


@pytest.mark.parametrize("text", [json.dumps(ENVIRONMENT)[:100], '{"apiVersion": "v1", "kind": "List", "kind": "x"}'])
def test_json_that_can_not_be_read_is_no_inventory(text: str) -> None:
    with pytest.raises(ValueError, match=r"k\.yaml"):
        read_documents([Document("", "k.yaml", text.encode())], Options(format="kubernetes"))


@pytest.mark.parametrize("kind", ["[" * 50_000, "{a: " * 50_000, "\n".join(" " * n + "a:" for n in range(2_000))])
def test_what_is_nested_without_end_is_told_and_nothing_overflows(kind: str) -> None:
    inventory = read(f"{STREAM}---\nx: {kind}\n")

    assert len(inventory.identities) == 3
    assert len(inventory.problems) == 1


def test_aliases_do_not_unfold() -> None:
    bomb = "apiVersion: v1\nkind: List\nx: &l0 [a]\n" + "".join(
        f"x{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 30)
    )

    began = time.process_time()
    with pytest.raises(ValueError, match="aliases stand for more"):
        read(f"{bomb}items: *l29\n")
    assert time.process_time() - began < 5.0


@pytest.mark.parametrize("label", ["k8s:io.kubernetes.pod.namespace", "io.kubernetes.pod.namespace"])
def test_a_policy_says_nothing_of_accounts_in_another_namespace(label: str) -> None:
    policy = f"""\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {{name: egress, namespace: evil, annotations: {{anchorwatch.io/criticality: low}}}}
spec:
  endpointSelector: {{matchLabels: {{"{label}": payments, io.cilium.k8s.policy.serviceaccount: api}}}}
  egress: [{{toFQDNs: [{{matchName: api.bank.example}}]}}]
"""
    inventory = read(policy)

    assert inventory.identities == ()
    assert "its selector is of another namespace, 'payments'" in inventory.problems[0]


@pytest.mark.parametrize("port", ["\u00b2", "9" * 5000, "0", "65536"])
def test_a_port_that_is_none_leaves_the_host(port: str) -> None:
    inventory = read(STREAM.replace('port: "443"', f'port: "{port}"'))

    assert "api.clearing.example" in hosts(inventory)["prod/settlement"]


def test_the_same_object_twice_is_the_same_endpoint() -> None:
    assert hosts(read(f"{SETTLEMENT}---{SETTLEMENT}")) == {
        "prod/settlement": ["api.partner.example", "token.idp.example"]
    }


@pytest.mark.slow
def test_sixty_thousand_services_are_read() -> None:
    items = [
        {
            "metadata": {"name": f"s{n}", "namespace": f"n{n % 500}"},
            "spec": {"type": "ExternalName", "externalName": f"h{n}.test"},
        }
        for n in range(60_000)
    ]

    inventory = read(json.dumps({"apiVersion": "v1", "kind": "ServiceList", "items": items}))

    assert len(inventory.identities) == 500
    assert sum(len(one.endpoints) for one in inventory.identities) == 60_000


def test_names_in_other_scripts_and_with_final_dots_are_watched_and_inner_ones_are_noted() -> None:
    names = ["bücher.example", "xn--bcher-kva.example.", "db.prod.svc.cluster.local", "localhost", "db"]
    text = "\n---\n".join(
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\nspec: {{type: ExternalName, externalName: {name}}}"
        for n, name in enumerate(names)
    )

    inventory = read(text, owner="ops", criticality="high")

    assert hosts(inventory) == {"default/*": ["xn--bcher-kva.example"]}
    assert (only(inventory).owner, only(inventory).criticality) == ("ops", "high")
    assert len(inventory.notes) == 3
