"""Secrets that stand in an inventory or a configuration come out nowhere: every output of the watch is searched."""

import csv
import io
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.daemons import free_port
from tests.support.running import Lab, call, running

pytestmark = pytest.mark.slow

HOST = "api.bank.example"
SHAPES = [
    "jdbc:sqlserver://{h}:1433;databaseName=x;user=sa;password={s}",
    "jdbc:postgresql://{h}/x?user=svc&password={s}",
    "jdbc:oracle:thin:svc/{s}@//{h}:1521/x",
    "Server=tcp:{h},1433;Database=x;User Id=sa;Password={s}",
    "host={h} user=svc password={s}",
    "redis://:{s}@{h}:6379/0",
    "amqp://svc:{s}@{h}/v",
    "mongodb://svc:{s}@{h}:27017/x",
    "postgres://svc:{s}@{h}:5432/x",
    "svc:{s}@tcp({h}:3306)/x",
    "https://{s}@{h}/x",
    "https://{h}/x?token={s}",
    "Endpoint=sb://{h}/;SharedAccessKeyName=r;SharedAccessKey={s}",
]
ODD = "QZ479/#?@%;:&=+,.!$'\"\\(){} "
TOKEN, KEY = "T0Kzq8Wv5RwYb2", "K3Yrouting9Qx7Zp4Mn"
API = ["endpoints", "zones", "acts", "identities", "findings", "incidents", "notifications", f"history?name={HOST}"]
PAGES = ["/", f"/endpoints/{HOST}.", "/metrics", "/-/ready", "/-/healthy", *(f"/api/v1/{path}" for path in API)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def echo() -> Iterator[str]:
    """Return the URL of a receiver that refuses everything and repeats what it got, address and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))[:60]
            said = f"refused {self.path}: ".encode() + body
            self.send_response(400)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def secrets() -> list[str]:
    """Return secrets of every kind, the same in each run; a marker in each is found though it is cut or encoded."""
    chance = random.Random(7)
    made = []
    for number in range(3 * len(SHAPES)):
        odd = "".join(chance.choice(ODD) for _ in range(chance.randint(1, 6)))
        lead = "4711" if number % 3 == 1 else ""
        made.append(f"{lead}{odd}S{number:02}xVq{odd[::-1]}")
    return made


def markers() -> list[str]:
    return [*(f"S{number:02}xVq" for number in range(3 * len(SHAPES))), TOKEN, KEY]


def rows() -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "owner", "criticality", "password", "dsn", "endpoints"])
    for number, secret in enumerate(secrets()):
        shape = SHAPES[number % len(SHAPES)].format(h=HOST, s=secret)
        writer.writerow([f"sa-{number}", "ops", "critical", secret, shape, shape])
    return text.getvalue()


def config_text(lab: Lab, port: int, echo: str) -> str:
    return (
        f"inventory: [{{path: inv.csv}}]\nvantages: [{{name: corp, resolver: '{lab.url}'}}]\n"
        f"trust_anchors: {{path: {lab.anchors}}}\npoll: {{interval: 1s, claim_every: 2, timeout: 300ms}}\n"
        f"receivers:\n- {{name: hook, type: webhook, url: '{echo}/services/{TOKEN}'}}\n"
        f"- {{name: pager, type: pagerduty, routing_key_file: key, url: '{echo}/enqueue'}}\n"
        "- {name: shell, type: console}\n"
        "routes:\n- {match: {}, receiver: hook}\n- {match: {}, receiver: pager}\n- {match: {}, receiver: shell}\n"
        f"log: {{level: debug}}\nhttp: {{listen: '127.0.0.1:{port}'}}\n"
    )


def test_no_output_of_the_commands_has_a_secret(lab: Lab, tmp_path: Path, echo: str) -> None:
    (tmp_path / "inv.csv").write_text(rows())
    (tmp_path / "semicolons.csv").write_text(rows().replace('"', "").replace(",", ";"))
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "aw.yaml").write_text(config_text(lab, 0, echo))

    said = ""
    for name in ("inv.csv", "semicolons.csv"):
        for format_name in ("table", "json", "plugin"):
            done = call("check", str(tmp_path / name), *lab.options, "--all", "--format", format_name)
            assert done.returncode == 3
            said += done.stdout + done.stderr
    checked = call("run", str(tmp_path / "aw.yaml"), "--check-config")
    assert checked.returncode == 2
    said += checked.stdout + checked.stderr
    for number, secret in enumerate(secrets()[:6]):
        done = call("validate", SHAPES[number].format(h=HOST, s=secret), *lab.options)
        said += done.stdout + done.stderr

    assert "inv.csv:" in said
    assert [marker for marker in markers() if marker in said] == []


def test_no_output_of_the_watch_has_a_secret(lab: Lab, tmp_path: Path, echo: str) -> None:
    (tmp_path / "inv.csv").write_text(rows())
    (tmp_path / "key").write_text(KEY)
    port = free_port()
    (tmp_path / "aw.yaml").write_text(config_text(lab, port, echo))

    with running(tmp_path / "aw.yaml", f"http://127.0.0.1:{port}") as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "the host of the rows that can be read")
        codes = {"self_inventory_stale", "self_alert_delivery_failed"}
        one.until(lambda: {i["cause"] for i in one.get("/api/v1/incidents")} & {"hook", "pager"}, "the refusals")
        one.until(lambda: "self_inventory_stale" in {f["code"] for f in one.get("/api/v1/findings")}, "the rows")
        shown = "".join(one.ask(path)[1].decode() for path in PAGES)
        finding = one.get("/api/v1/findings")[0]["id"]
        shown += one.ask(f"/findings/{finding}")[1].decode()
        assert one.end() == 0
        out, log = one.process.communicate()

    assert "self_inventory_stale" in out, "the console receiver was told"
    assert any(code in shown for code in codes)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    everything = {"pages": shown, "console": out, "log": log, "kept": kept.decode("utf-8", "replace")}
    found = [(where, marker) for where, text in everything.items() for marker in markers() if marker in text]
    assert found == [], found


@pytest.mark.parametrize(
    "line",
    [
        "vantages: [{name: a, resolver: 'https://svc:S00xVq@dns.example/q'}]",
        "vantages: [{name: a, resolver: 'ftp://dns.example/S00xVq'}]",
        "vantages: [{name: a, resolver: 'udp://svc:S00xVq'}]",
        "history: {url: 'clickhouse://u:S00xVq@db.example/x'}",
        "history: {url: 'postgres://u:S00xVq@db.example/x'}",
        "bus: {url: 'rabbit://u:S00xVq@mq.example'}",
        "bus: {url: 'kafka://u:S00xVq@mq.example:9092'}",
        "receivers: [{name: a, type: 'slack://S00xVq/x'}]",
        "receivers: [{name: a, type: webhook, url: 'hooks.example/S00xVq'}]",
        "receivers: [{name: a, type: pagerduty, routing_key: S00xVq}]",
        "'https://u:S00xVq@x': 1",
        "poll: {interval: 'redis://:S00xVq@x'}",
        "routes: [{match: {}, receiver: 'https://h/S00xVq'}]",
        "log: {level: *S00xVq}",
        "policy: {profile: 'x=S00xVq'}",
    ],
)
def test_no_problem_of_a_configuration_repeats_a_secret(tmp_path: Path, line: str) -> None:
    (tmp_path / "inv.csv").write_text("id,endpoints\nsa,a.example\n")
    (tmp_path / "aw.yaml").write_text(f"inventory: [{{path: inv.csv}}]\n{line}\n")

    done = call("run", str(tmp_path / "aw.yaml"), "--check-config")

    assert "S00xVq" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2, done.stdout
