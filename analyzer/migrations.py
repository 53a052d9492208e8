"""Bring the history's tables up to date: numbered SQL, each applied once, never edited once released."""

import hashlib
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from schemas.faults import ConfigError

LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version UInt32, name String, checksum String, applied_at DateTime64(6, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY version
"""


def load_migrations() -> list[tuple[int, str, str]]:
    """Return (version, name, SQL) of every migration in order."""
    found = []
    for entry in resources.files("schemas").joinpath("sql").iterdir():
        if entry.name.endswith(".sql"):
            found.append((int(entry.name[:4]), entry.name, entry.read_text(encoding="utf-8")))
    return sorted(found)


def migrate(client: Any) -> list[str]:
    """Apply what is missing and return the names.

    Raises:
        ConfigError: the database has a migration that differs from ours, or one that we do not know.
    """
    client.command(LEDGER)
    rows = client.query("SELECT version, name, checksum FROM schema_migrations FINAL ORDER BY version").result_rows
    applied = {int(version): (name, checksum) for version, name, checksum in rows}
    ours = load_migrations()
    known = {version for version, _, _ in ours}
    problems = [
        f"history: the database has migration {name}, which this version does not know: upgrade anchorwatch"
        for version, (name, _) in applied.items()
        if version not in known
    ]
    done = []
    for version, name, sql in ours:
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        if version in applied:
            if applied[version][1] != checksum:
                problems.append(f"history: migration {name} was applied in another form: restore its file")
            continue
        if problems:
            break
        client.command(sql)
        client.insert(
            "schema_migrations",
            [(version, name, checksum, datetime.now(UTC))],
            column_names=("version", "name", "checksum", "applied_at"),
        )
        done.append(name)
    if problems:
        raise ConfigError(problems)
    return done
