"""The manifests: as the published schemas of Kubernetes have them, confined, and with a configuration that loads."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from anchorwatch.configuration.loading import load_config
from tests.support.daemons import find_tool

KUBERNETES = Path(__file__).parents[2] / "compose" / "kubernetes"
FORMS = ("embedded", "cluster")
VERSIONS = ("1.30", "1.34")
each_form = pytest.mark.parametrize("form", FORMS)


def documents(form: str) -> Iterator[dict[str, Any]]:
    for path in sorted((KUBERNETES / form).glob("*.yaml")):
        if path.name not in ("anchorwatch.yaml", "inventory.yaml", "kustomization.yaml"):
            yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def pods(form: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in documents(form):
        if one["kind"] in ("Deployment", "StatefulSet"):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


@each_form
@pytest.mark.parametrize("version", VERSIONS)
def test_each_object_is_as_its_schema_says(form: str, version: str) -> None:
    checked = set()
    for one in documents(form):
        if one["apiVersion"].startswith("monitoring.coreos.com/"):
            continue  # of the Prometheus operator, whose schema is not among those of Kubernetes
        kubernetes_validate.validate(one, version, strict=True)
        checked.add(one["kind"])

    assert {"Service", "StatefulSet", "NetworkPolicy", "ServiceAccount"} <= checked


def test_the_schemas_refuse_what_is_wrong() -> None:
    (one, *_) = [one for one in documents("embedded") if one["kind"] == "StatefulSet"]
    one["spec"]["template"]["spec"]["containers"][0]["securityContext"]["allowPrivilegEscalation"] = False

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(one, VERSIONS[0], strict=True)


@each_form
def test_kustomize_puts_them_together(form: str) -> None:
    if find_tool("kubectl") is None:
        pytest.skip("needs kubectl, which is in no package of Debian: https://kubernetes.io/docs/tasks/tools/")
    done = subprocess.run(
        ["kubectl", "kustomize", KUBERNETES / form], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    maps = [one["metadata"]["name"] for one in built if one["kind"] == "ConfigMap"]
    named = {
        volume["configMap"]["name"]
        for one in built
        if one["kind"] in ("Deployment", "StatefulSet")
        for volume in one["spec"]["template"]["spec"]["volumes"]
        if "configMap" in volume
    }
    assert named == set(maps)
    assert {one["metadata"].get("namespace", "anchorwatch") for one in built} == {"anchorwatch"}


@each_form
def test_every_pod_is_confined_and_probed(form: str) -> None:
    for name, pod in pods(form):
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["livenessProbe"]["httpGet"]["path"] == "/-/healthy"
        assert container["readinessProbe"]["httpGet"]["path"] == "/-/ready"
        assert {"requests", "limits"} <= container["resources"].keys()
        mounted = {one["name"] for one in container["volumeMounts"]}
        claims = {"data"} if name in ("anchorwatch", "collector") else set()
        assert mounted == {one["name"] for one in pod["volumes"]} | claims


@each_form
def test_every_selector_finds_pods(form: str) -> None:
    all_of = list(documents(form))
    labels = [
        one["spec"]["template"]["metadata"]["labels"] for one in all_of if one["kind"] in ("Deployment", "StatefulSet")
    ]
    for one in all_of:
        if one["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            spec = one["spec"]
            wanted = spec.get("podSelector") or spec["selector"]
            assert any(wanted.get("matchLabels", wanted).items() <= found.items() for found in labels), one


@each_form
def test_the_configuration_can_be_used(form: str, tmp_path: Path) -> None:
    for name in ("anchorwatch.yaml", "inventory.yaml"):
        text = (KUBERNETES / form / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/run/secrets/anchorwatch", str(tmp_path)))
    (tmp_path / "http_token").write_text("0123456789abcdef")
    (tmp_path / "clickhouse_password").write_text("s3cret")

    config = load_config(tmp_path / "anchorwatch.yaml")

    assert config.listen == ("0.0.0.0", 8053)
    assert (config.bus is None) is (form == "embedded")


def test_what_may_leave_is_what_the_configuration_names() -> None:
    (policy,) = [one for one in documents("cluster") if one["kind"] == "NetworkPolicy"]
    ports = {(port["protocol"], port["port"]) for rule in policy["spec"]["egress"] for port in rule["ports"]}

    assert ports == {("UDP", 53), ("TCP", 53), ("TCP", 853), ("TCP", 443), ("TCP", 9092), ("TCP", 8123)}
