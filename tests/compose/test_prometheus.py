"""The rules by which the pipeline watches itself: they are about metrics that exist, and fire when they should."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "compose/prometheus"
DASHBOARDS = ROOT / "compose/grafana/dashboards"


def read(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    return [rule for group in read("rules.yml")["groups"] for rule in group["rules"]]


def panel_queries() -> list[str]:
    return [
        target["expr"]
        for path in sorted(DASHBOARDS.glob("*.json"))
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
        for target in panel["targets"]
        if "expr" in target
    ]


def known_metrics() -> set[str]:
    """Return the metrics that the shell names in its source, as they are scraped."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "anchorwatch").rglob("*.py")))
    counted = set(re.findall(r'\bcount(?:ers?)?\(\s*"(anchorwatch_[a-z_]+)"', text))
    others = set(re.findall(r'"(anchorwatch_[a-z_]+)"', text)) - counted
    return others | {f"{name}_total" for name in counted} | {"anchorwatch_handle_seconds_bucket"}


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("needs promtool: apt-get install prometheus")
    return found


def run(*command: str, cwd: Path = PROMETHEUS) -> None:
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_is_scraped_is_a_service() -> None:
    services = yaml.safe_load((ROOT / "compose/compose.yaml").read_text(encoding="utf-8"))["services"]
    jobs = {job["job_name"]: job for job in read("prometheus.yml")["scrape_configs"]}

    assert {"collector", "analyzer", "alerts"} <= jobs.keys() <= services.keys()
    for name in ("collector", "analyzer", "alerts"):
        (discovery,) = jobs[name]["dns_sd_configs"]
        assert (discovery["names"], discovery["type"], discovery["port"]) == ([name], "A", 8053)


def test_every_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        assert re.fullmatch(r"docs/operations\.md#[a-z-]+", rule["annotations"]["runbook_url"])


def test_every_runbook_is_written() -> None:
    path = ROOT / "docs/operations.md"
    if not path.is_file():  # it is checked from the day on that it is there
        return
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert {rule["annotations"]["runbook_url"].split("#")[1] for rule in rules()} <= anchors


@pytest.mark.parametrize("query", [*(rule["expr"] for rule in rules()), *panel_queries()])
def test_a_query_asks_for_metrics_that_exist(query: str) -> None:
    assert set(re.findall(r"\banchorwatch_[a-z_]+", query)) <= known_metrics()


def test_promtool_accepts_configuration_and_rules(promtool: str) -> None:
    run(promtool, "check", "config", "prometheus.yml")


def test_the_rules_fire_when_they_should_and_only_then(promtool: str) -> None:
    run(promtool, "test", "rules", "rules.test.yml")


def test_every_rule_is_fired_by_a_test() -> None:
    fired = set()
    for test in read("rules.test.yml")["tests"]:
        fired |= {one["alertname"] for one in test.get("alert_rule_test", ()) if one.get("exp_alerts")}
        for one in test.get("promql_expr_test", ()):
            fired |= set(re.findall(r'alertname=~?"([^"]+)"', one["expr"])) if one.get("exp_samples") else set()

    for rule in rules():
        assert any(re.fullmatch(pattern, rule["alert"]) for pattern in fired), rule["alert"]


def test_promtool_can_read_the_queries_of_the_dashboards(promtool: str, tmp_path: Path) -> None:
    queries = [query.replace("$__rate_interval", "1m") for query in panel_queries()]
    recorded = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))

    run(promtool, "check", "rules", "panels.yml", cwd=tmp_path)
