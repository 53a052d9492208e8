"""The scenarios of a validator's own authors, black box: ``validate`` as a process, over UDP on loopback.

Fails on any difference that is not on the list of ``tests/collector/test_conformance.py``.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RUNNER = HERE.parents[1] / "shared" / "conformance"
POLICIES = (
    "negative_trust_anchors",
    "every_algorithm",
    "digest_downgrade",
    "reject_mixed_nsec3",
    "accept_stripped",
    "nsec3_max_iterations",
)
COMMAND = (
    f"{sys.executable} -m anchorwatch validate {{name}} {{type}} --resolver udp://127.0.0.1:{{port}}"
    " --trust-anchor {anchors} --at {time} --json"
)


def expected_differences() -> set[tuple[str, int]]:
    """Return the checks that differ on purpose."""
    spec = importlib.util.spec_from_file_location("listed", HERE / "collector" / "test_conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return set(module.EXPECTED_DIFFERENCES)


def main() -> int:
    """Run all scenarios and compare the failures with those expected."""
    if not RUNNER.is_dir():
        print(f"skipped: needs {RUNNER}, which comes beside a checkout")
        return 0
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        words = [sys.executable, "run.py", "scenarios", "--command", COMMAND, "--json", out.name]
        for key in POLICIES:
            words += ["--option", f"{key}=--policy {key}={{value}}"]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(words, cwd=RUNNER, env=environment, check=False)
        results = json.loads(Path(out.name).read_text())
    failed = {(one["scenario"], one["index"]) for one in results if one["status"] == "FAIL"}
    skipped = [one for one in results if one["status"] == "skip"]
    expected = expected_differences()
    for scenario, index in sorted(failed ^ expected):
        print(f"UNEXPECTED {'difference' if (scenario, index) in failed else 'agreement'}: {scenario} #{index}")
    passed = sum(one["status"] == "ok" for one in results)
    print(f"{passed} passed, {len(failed ^ expected)} failed, {len(expected & failed)} expected differences")
    return 1 if failed != expected or skipped else 0


if __name__ == "__main__":
    sys.exit(main())
