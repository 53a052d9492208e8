"""``anchorwatch run`` as a process among receivers that drip, never accept, talk without end, and hang."""

import base64
import secrets
import signal
import sys
import time
from pathlib import Path

import pytest

from anchorwatch.lab.receiver import Receiver
from tests.support.daemons import free_port
from tests.support.hostile import Hostile, drips, refuses_with_an_endless_body
from tests.support.running import Lab, call, running

pytestmark = pytest.mark.slow

END_S = 10.0
INVENTORY = "identities:\n  - {id: sa-1, owner: payments, criticality: critical, endpoints: [api.bank.example]}\n"
CONFIG = """\
inventory: [{{path: inventory.yaml}}]
vantages: [{{name: lab, resolver: "{resolver}"}}]
trust_anchors: {{path: root.ds}}
poll: {{interval: 1s}}
receivers:
  - {{name: drips, type: webhook, url: "{drips}"}}
  - {{name: deaf, type: webhook, url: "{deaf}"}}
  - {{name: talks, type: webhook, url: "{talks}"}}
  - {{name: hangs, type: command, command: [{python}, {hangs}]}}
  - {{name: soc, type: webhook, url: "{soc}", secret_file: webhook.key}}
  - {{name: idle, type: console}}
routes:
  - {{match: {{}}, receiver: drips}}
  - {{match: {{}}, receiver: deaf}}
  - {{match: {{}}, receiver: talks}}
  - {{match: {{}}, receiver: hangs}}
  - {{match: {{}}, receiver: soc}}
http: {{listen: "127.0.0.1:{port}"}}
"""
HANGS = """\
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({mark!r}, 'w').write('x'); "
child += "\\nwhile True: open({mark!r}, 'a').write('.'); time.sleep(0.02)"
subprocess.Popen([sys.executable, "-c", child])
while True: time.sleep(1)
"""


def test_a_good_receiver_is_told_at_once_and_sigterm_ends_all_within_ten_seconds(tmp_path: Path) -> None:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    lab, soc, port, mark = Lab(tmp_path), Receiver(secret), free_port(), tmp_path / "alive"
    (tmp_path / "webhook.key").write_text(secret)
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "hangs.py").write_text(HANGS.format(mark=str(mark)))
    with (
        Hostile(drips) as dripping,
        Hostile(drips, accepts=False) as deaf,
        Hostile(refuses_with_an_endless_body) as talking,
    ):
        config = tmp_path / "anchorwatch.yaml"
        config.write_text(
            CONFIG.format(
                resolver=lab.url,
                drips=dripping.url,
                deaf=deaf.url,
                talks=talking.url,
                soc=soc.url,
                python=sys.executable,
                hangs=tmp_path / "hangs.py",
                port=port,
            )
        )
        checked = call("run", "--check-config", str(config))
        assert checked.returncode == 0, checked.stderr
        assert "'idle'" in checked.stderr, "a receiver that nothing names is a warning"
        with running(config, f"http://127.0.0.1:{port}") as watch:
            watch.until(lambda: len(watch.get("/api/v1/endpoints")) >= 2, "the first verdicts")
            lab.stage(lambda world: world.stage_forged("bank.example.", "api", "203.0.113.66"))
            watch.until(lambda: any(m["data"]["cause"] == "bank.example." for m in soc.arrived), "the page")
            watch.until(mark.exists, "the command's child")
            told = watch.until(lambda: (body := watch.ask("/-/ready")[1]) and b"talks" in body and body, "the refusal")
            assert b"HTTP 404" in told
            page = watch.ask("/")[1].decode()
            assert "talks" in page
            assert "idle" in page
            assert watch.ask("/-/healthy")[0] == 200

            begun = time.monotonic()
            assert watch.end(signal.SIGTERM) == 0
            assert time.monotonic() - begun < END_S
    size = mark.stat().st_size
    time.sleep(0.3)
    assert mark.stat().st_size == size, "the command's group ended with the process"
    soc.close()
    lab.close()
