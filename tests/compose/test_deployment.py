"""What an operator copies can be read and is confined; starting it needs a container engine and is not done here."""

import hashlib
import json
import os
import re
import stat
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml

from anchorwatch.configuration.loading import Config, load_config
from tests.support import specification

COMPOSE = Path(__file__).parents[2] / "compose"
ROOT = COMPOSE.parent
SPEC = json.loads((ROOT / "tests/data/compose-spec/compose-spec.json").read_text(encoding="utf-8"))
FILES = ("compose.yaml", "embedded.yaml")


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((COMPOSE / name).read_text(encoding="utf-8")))


SERVICES = [(name, service) for name in FILES for service in read(name)["services"]]
each_service = pytest.mark.parametrize(("name", "service"), SERVICES)


def loaded(name: str, folder: Path) -> Config:
    """Return the configuration with the secrets of a folder instead of those of the container."""
    (folder / "clickhouse_password").write_text("s3cret\n", encoding="utf-8")
    (folder / "http_token").write_text("0123456789abcdef\n", encoding="utf-8")
    for part in ("anchorwatch.yaml", "embedded.yaml", "inventory.yaml"):
        text = (COMPOSE / "etc" / part).read_text(encoding="utf-8")
        (folder / part).write_text(text.replace("/run/secrets", str(folder)), encoding="utf-8")
    return load_config(folder / name)


def hosts_of(ports: list[str]) -> set[str]:
    return {port.split(":")[0] for port in ports}


@pytest.mark.parametrize("name", FILES)
def test_a_compose_file_is_as_the_specification_says(name: str) -> None:
    assert list(specification.problems(read(name), SPEC, SPEC)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"services": {"a": {"image": "x", "port": ["1:1"]}}},
        {"services": {"a": {"image": ["x"]}}},
        {"services": {"a": {"image": "x", "depends_on": {"b": {"condition": "healthy"}}}}},
        {"services": {"a": {"image": "x", "deploy": {"resources": {"limits": {"ram": "1g"}}}}}},
        {"services": {"a": {"image": "x", "cap_drop": ["ALL", "ALL"]}}},
    ],
)
def test_the_specification_refuses_what_is_wrong(wrong: dict[str, Any]) -> None:
    assert list(specification.problems(wrong, SPEC, SPEC))


def test_the_cluster_configuration_passes_its_own_checker(tmp_path: Path) -> None:
    config = loaded("anchorwatch.yaml", tmp_path)
    services = read("compose.yaml")["services"]

    assert config.bus is not None
    assert config.bus.brokers == ("kafka:9092",)
    assert f"PLAINTEXT://{config.bus.brokers[0]}" == services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert config.history.url == "clickhouse://anchorwatch@clickhouse:8123/anchorwatch"
    assert config.history.password == "s3cret"
    assert config.listen == ("0.0.0.0", 8053)
    assert config.http.token == "0123456789abcdef"


def test_the_embedded_configuration_passes_its_own_checker(tmp_path: Path) -> None:
    config = loaded("embedded.yaml", tmp_path)

    assert config.bus is None
    assert config.history.url == "chdb:/var/lib/anchorwatch"
    assert config.alerts.ledger == Path("/var/lib/anchorwatch/alerts.sqlite")
    assert config.listen == ("0.0.0.0", 8053)
    assert config.http.token == "0123456789abcdef"


def test_every_stage_is_there_as_often_as_it_should_be() -> None:
    services = read("compose.yaml")["services"]
    replicas = {name: services[name]["deploy"]["replicas"] for name in ("collector", "analyzer", "alerts")}

    assert replicas == {"collector": 2, "analyzer": 2, "alerts": 2}
    for name in replicas:
        assert services[name]["command"] == [name, "/etc/anchorwatch/anchorwatch.yaml"]
        assert {"kafka", "clickhouse"} == services[name]["depends_on"].keys()
        assert all(on["condition"] == "service_healthy" for on in services[name]["depends_on"].values())
        assert "/-/healthy" in services[name]["healthcheck"]["test"][-1]


@each_service
def test_a_service_is_confined(name: str, service: str) -> None:
    made = read(name)["services"][service]
    limits = made["deploy"]["resources"]["limits"]

    assert made["read_only"] is True
    assert made["cap_drop"] == ["ALL"]
    assert "cap_add" not in made
    assert "privileged" not in made
    assert made["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:\d+", made["user"])
    assert {"cpus", "memory", "pids"} <= limits.keys()
    assert made["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert made["stop_grace_period"]
    assert made["restart"] == "unless-stopped"
    assert hosts_of(made.get("ports", [])) <= {"127.0.0.1"}
    assert any(one.startswith("/tmp") for one in made["tmpfs"])


@each_service
def test_an_image_is_pinned(name: str, service: str) -> None:
    made = read(name)["services"][service]
    image, _, tag = made["image"].partition(":")

    assert image
    assert re.match(r"v?\d+\.\d+\.\d+", tag), made["image"]
    if image == "clickhouse/clickhouse-server":
        assert tuple(map(int, tag.split(".")[:2])) >= (25, 8)


@each_service
def test_what_is_mounted_is_there_and_read_only(name: str, service: str) -> None:
    document = read(name)
    for volume in document["services"][service].get("volumes", []):
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            assert (COMPOSE / source).exists(), source
            assert mode == ["ro"]
        else:
            assert source in document["volumes"]
        assert target.startswith("/")


def test_secrets_are_files_that_the_script_makes(tmp_path: Path) -> None:
    document = read("compose.yaml")
    used = {secret for service in document["services"].values() for secret in service.get("secrets", [])}
    script = tmp_path / "make-secrets.sh"
    script.write_text((COMPOSE / "make-secrets.sh").read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    first = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "secrets").iterdir()}
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    second = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "secrets").iterdir()}

    assert used == document["secrets"].keys() == first.keys()
    assert {entry["file"] for entry in document["secrets"].values()} == {f"./secrets/{name}" for name in used}
    assert first == second
    assert len(set(first.values())) == len(first)
    assert all(re.fullmatch(r"[0-9a-f]{48}", secret) for secret in first.values())
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert "secrets/" in (COMPOSE / ".gitignore").read_text(encoding="utf-8").split()
    assert os.access(COMPOSE / "make-secrets.sh", os.X_OK)


def test_clickhouse_is_told_the_hashes_of_the_passwords_only(tmp_path: Path) -> None:
    (tmp_path / "clickhouse_password").write_text("one\n", encoding="utf-8")
    (tmp_path / "clickhouse_ro_password").write_text("two", encoding="utf-8")
    environment = {**os.environ, "SECRETS": str(tmp_path), "ENTRYPOINT": "env"}

    shown = subprocess.run(
        ["bash", str(COMPOSE / "clickhouse/start.sh")], env=environment, check=True, capture_output=True, text=True
    ).stdout

    told = dict(line.split("=", 1) for line in shown.splitlines() if "SHA256=" in line)
    assert told == {
        "ANCHORWATCH_SHA256": hashlib.sha256(b"one").hexdigest(),
        "GRAFANA_RO_SHA256": hashlib.sha256(b"two").hexdigest(),
    }
    asked = {
        element.get("from_env")
        for element in ElementTree.parse(COMPOSE / "clickhouse/users.xml").iter("password_sha256_hex")
    }
    assert asked == told.keys()


def test_an_empty_password_is_refused(tmp_path: Path) -> None:
    for name in ("clickhouse_password", "clickhouse_ro_password"):
        (tmp_path / name).write_text("", encoding="utf-8")
    environment = {**os.environ, "SECRETS": str(tmp_path), "ENTRYPOINT": "env"}

    ended = subprocess.run(
        ["bash", str(COMPOSE / "clickhouse/start.sh")], env=environment, capture_output=True, text=True
    )

    assert ended.returncode == 1
    assert "run make-secrets.sh" in ended.stderr


def test_grafana_may_read_only_and_may_set_the_one_thing_that_it_sets() -> None:
    users = ElementTree.parse(COMPOSE / "clickhouse/users.xml").getroot()
    server = ElementTree.parse(COMPOSE / "clickhouse/server.xml").getroot()
    profile = users.find("profiles/grafana_ro")
    grants = {
        user: [query.text for query in users.iterfind(f"users/{user}/grants/query")]
        for user in ("anchorwatch", "grafana_ro")
    }

    assert profile is not None
    assert profile.findtext("readonly") == "1"
    assert profile.find("constraints/max_execution_time/changeable_in_readonly") is not None
    assert users.findtext("users/grafana_ro/profile") == "grafana_ro"
    assert users.find("users/default").get("remove") == "remove"  # type: ignore[union-attr]
    assert grants["anchorwatch"] == ["GRANT ALL ON anchorwatch.*"]
    assert all((grant or "").startswith("GRANT SELECT ON ") for grant in grants["grafana_ro"])
    assert server.findtext("startup_scripts/scripts/query") == "CREATE DATABASE IF NOT EXISTS anchorwatch"


def test_the_provisioning_of_grafana_fits_the_services() -> None:
    services = read("compose.yaml")["services"]
    grafana = services["grafana"]
    mounts = {volume.split(":")[1]: COMPOSE / volume.split(":")[0] for volume in grafana["volumes"]}
    (clickhouse, prometheus) = read("grafana/provisioning/datasources/anchorwatch.yaml")["datasources"]
    (provider,) = read("grafana/provisioning/dashboards/anchorwatch.yaml")["providers"]
    users = ElementTree.parse(COMPOSE / "clickhouse/users.xml").getroot()

    assert (clickhouse["uid"], prometheus["uid"]) == ("anchorwatch-ch", "anchorwatch-prom")
    assert clickhouse["jsonData"]["host"] in services
    assert users.find(f"users/{clickhouse['jsonData']['username']}") is not None
    secret = re.fullmatch(r"\$__file\{/run/secrets/(\w+)\}", clickhouse["secureJsonData"]["password"])
    assert secret is not None
    assert secret[1] in grafana["secrets"]
    assert prometheus["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    assert mounts[provider["options"]["path"]].is_dir()
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (mounts[str(home.parent)] / home.name).is_file()
    assert grafana["environment"]["GF_PLUGINS_PREINSTALL_SYNC"].startswith(f"{clickhouse['type']}@")


def test_the_image_copies_only_what_is_there_and_what_is_not_ignored() -> None:
    kept = {
        line[1:] for line in (COMPOSE / "Dockerfile.dockerignore").read_text(encoding="utf-8").split() if "!" in line
    }
    copied = set()
    for line in (COMPOSE / "Dockerfile").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--"):
            copied |= set(words[1:-1])

    assert all((ROOT / one).exists() for one in copied)
    assert copied == kept


def test_the_image_has_every_package_of_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = re.findall(r'"([a-z]+)\*"', re.search(r"^include = \[(.*)\]$", text, re.M)[1])  # type: ignore[index]
    dockerfile = (COMPOSE / "Dockerfile").read_text(encoding="utf-8")

    assert {"anchorwatch", "schemas"} <= set(packages)
    for package in set(packages):
        assert f"\nCOPY {package} {package}\n" in dockerfile


def test_all_that_is_built_from_is_locked_with_hashes() -> None:
    dockerfile = (COMPOSE / "Dockerfile").read_text(encoding="utf-8")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert "--require-hashes -r requirements.lock" in dockerfile
    assert "--no-index" in dockerfile
    for needed in ("setuptools", "chdb-core-lite", "kafka-python"):
        assert re.search(rf"^{needed}==[\d.]+ .*\\\n    --hash=sha256:[0-9a-f]{{64}}", lock, re.M), needed


@pytest.mark.parametrize(
    ("name", "services"), [("compose.yaml", ("collector", "analyzer", "alerts")), ("embedded.yaml", ("anchorwatch",))]
)
def test_every_stage_has_the_token_that_its_configuration_names(name: str, services: tuple[str, ...]) -> None:
    document = read(name)

    assert document["secrets"]["http_token"] == {"file": "./secrets/http_token"}
    for service in services:
        assert "http_token" in document["services"][service]["secrets"]
