"""Schemathesis asks a running instance what its description allows, and what it does not: all is as described.

Always the same requests. Streams are left out, since they do not end; their own tests ask them.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.office import Office, finding_of, move
from tests.support.running import Lab, environment, running

HERE = Path(__file__).parent / "schemathesis"
PROGRAM = Path(sys.executable).parent / "st"
TOKEN = "0123456789abcdef0123456789abcdef"
WITHIN_S = 900


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not PROGRAM.exists(), reason="needs Schemathesis: pip install -e .[dev]")
def test_the_api_does_what_its_description_says(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    office = Office(tmp_path, lab)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with running(office.config, office.url) as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "both endpoints")
        move(lab, "203.0.113.7")
        one.until(lambda: finding_of(one, "answer_changed"), "a finding")
        one.until(lambda: one.get("/api/v1/incidents"), "an incident")

    text = office.config.read_text()
    office.config.write_text(text.replace("http: {", f"http: {{token_file: {token}, "))
    shutil.copytree(HERE, tmp_path / "schemathesis")
    with running(office.config, office.url) as again:
        again.until(lambda: again.ask("/-/ready")[0] == 200, "it to be ready")
        done = subprocess.run(
            [
                *(PROGRAM, "run", f"{office.url}/api/v1/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "10"),
                *("--generation-deterministic", "--exclude-path", "/api/v1/events", "--request-timeout", "30"),
                *("--rate-limit", "auto", "--no-color"),
            ],
            cwd=tmp_path / "schemathesis",
            env={**environment(), "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert again.process.poll() is None
    lab.close()

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
