"""What people ask of an inventory at a terminal, without a running watch."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchorwatch.__main__ import cli

MANIFEST = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, namespace: prod, labels: {owner: payments}}
spec: {hosts: [api.bank.example, "*.cdn.example"]}
"""


def call(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "own.csv").write_text("id,owner,endpoints\nsa-1,red,a.example\nsa-2,blue,api.bank.example:443\n")
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s/mesh.yaml").write_text(f"# ours\n---\n{MANIFEST}")
    path = tmp_path / "anchorwatch.yaml"
    path.write_text("inventory: [{path: own.csv}, {path: k8s}]\nvantages: [{name: a, resolver: 127.0.0.1}]\n")
    return path


def test_a_host_is_found_with_who_consumes_it_and_where_it_stands(config: Path) -> None:
    done = call("inventory", "where", str(config), "API.bank.example.")

    folder = config.parent
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        f"  api.bank.example:443 A AAAA: sa-2, owner blue, at {folder}/own.csv:3: column endpoints",
        f"  api.bank.example A AAAA: prod/*, owner payments, at {folder}/k8s/mesh.yaml:3"
        " (mesh.yaml: ServiceEntry prod/bank)",
    ]


def test_a_host_that_is_nowhere_is_1(config: Path) -> None:
    done = call("inventory", "where", str(config), "b.example")

    assert done.exit_code == 1
    assert "b.example is in no source" in done.output


def test_show_lists_sources_and_on_demand_endpoints(config: Path) -> None:
    short, long = call("inventory", "show", str(config)), call("inventory", "show", str(config), "--endpoints")

    assert "no run has read it yet, " in short.output
    assert "not watchable" in short.output
    assert "a wildcard is no host" in short.output
    assert "a.example" not in short.output
    assert "a.example A AAAA: sa-1, owner red, at" in long.output


def test_two_inventories_are_compared(tmp_path: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.json"
    old.write_text("id,owner,endpoints\nsa-1,red,a.example b.example\nsa-2,blue,c.example\nsa-4,red,d.example\n")
    rows = [
        {"id": "sa-1", "owner": "green", "endpoints": ["b.example", "n.example"]},
        {"id": "sa-3", "owner": "red", "endpoints": ["x.example"]},
        {"id": "sa-4", "owner": "red", "endpoints": [{"host": "d.example", "port": 443}]},
    ]
    new.write_text(json.dumps(rows))

    done = call("inventory", "diff", str(old), str(new))

    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "- sa-2 (owner blue): c.example",
        "+ sa-3 (owner red): x.example",
        "~ sa-1: no longer a.example; now also n.example; another owner",
        "~ sa-4: its endpoints are described otherwise",
        "1 added; 1 removed; 2 changed",
    ]
    assert call("inventory", "diff", str(old), str(old)).exit_code == 0


def test_the_configuration_is_checked_with_what_can_not_be_watched(config: Path) -> None:
    done = call("run", "--check-config", str(config))

    assert done.exit_code == 0, done.output
    assert "3 identities, 2 hosts" in done.output
    assert "not watchable" in done.output
    (config.parent / "k8s/bad.yaml").write_text("[")
    assert call("run", "--check-config", str(config)).exit_code != 0
