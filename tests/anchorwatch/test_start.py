"""What a command loads before it does anything."""

import subprocess
import sys

LOADED = "import sys, anchorwatch.judging; print(*sys.modules)"


def test_a_verdict_over_udp_loads_no_http_client_and_no_database() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.split())
    assert "collector.resolvers.view" in loaded
    assert loaded.isdisjoint(
        {"urllib3", "http.client", "h2", "h11", "cryptography.x509", "clickhouse_connect", "chdb", "kafka", "numpy"}
    )
