"""Bring the history's tables up to date: numbered SQL, each applied once, never edited once released.

Every statement can be applied again without harm (``IF NOT EXISTS``, ``MODIFY SETTING``): a process that died between a
migration and its row in the ledger applies it once more, and so do two that start at the same time.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from analyzer.history import rows
from analyzer.history.server_faults import DATABASE_ERRORS
from schemas.faults import ConfigError

LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version UInt32, name String, checksum String, applied_at DateTime64(6, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY version
"""
LEDGER_COLUMNS = ("version", "name", "checksum", "applied_at")
# What the replicas share in Keeper, and the name of this one: macros of the server's own configuration.
REPLICA = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
# A replica that is down does not hold up the others: it makes up for the statement when it is back.
ON_CLUSTER_SETTINGS = {"distributed_ddl_output_mode": "throw_only_active", "distributed_ddl_task_timeout": 50}

_DEFINITION = re.compile(
    r"^(CREATE (?:TABLE|DATABASE|MATERIALIZED VIEW) IF NOT EXISTS|ALTER TABLE) (`[^`]+`|\w+)", re.MULTILINE
)
_FILLING = re.compile(r"^INSERT INTO \w+(?: \([\w, ]+\))?$", re.MULTILINE)
_ENGINE = re.compile(r"\bENGINE = (\w*MergeTree)\b(\(\)|\()?")


def load_migrations() -> list[tuple[int, str, str]]:
    """Return (version, name, SQL) of every migration in order."""
    found = []
    for entry in resources.files("schemas").joinpath("sql").iterdir():
        if entry.name.endswith(".sql"):
            found.append((int(entry.name[:4]), entry.name, entry.read_text(encoding="utf-8")))
    return sorted(found)


def statements_of(sql: str) -> list[str]:
    """Return the statements of a migration; one ends at a semicolon that ends its line, or at the end."""
    return [statement.strip() for statement in re.split(r";[ \t]*(?:\n|$)", sql) if statement.strip()]


def replicate_statement(statement: str, cluster: str) -> str:
    """Return the form of a definition that every replica of a cluster carries out and that replicates the table.

    What fills a table is said to one replica only: the others get the rows from it.

    Raises:
        ValueError: a statement that has no such form yet.
    """
    if _FILLING.search(statement):
        return statement
    everywhere, definitions = _DEFINITION.subn(rf"\1 \2 ON CLUSTER '{cluster}'", statement)
    if definitions != 1:
        raise ValueError(f"no replicated form is known of {statement!r}")

    def engine(match: re.Match[str]) -> str:
        more = ", " if match[2] == "(" else ")"
        return f"ENGINE = Replicated{match[1]}({REPLICA}{more}"

    return _ENGINE.sub(engine, everywhere)


def define(client: Any, statement: str, cluster: str = "") -> None:
    """Carry out a definition, on every replica if there is a cluster.

    Raises:
        clickhouse_connect's own errors.
    """
    if cluster:
        client.command(replicate_statement(statement, cluster), settings=ON_CLUSTER_SETTINGS)
    else:
        client.command(statement)


def migrate(client: Any, cluster: str = "") -> list[str]:
    """Apply what is missing, check the outcome and return the names.

    Raises:
        ConfigError: the database has a migration that differs from ours, or one that we do not know, or tables
            that are not what the migrations make.
        clickhouse_connect's own errors.
    """
    define(client, LEDGER, cluster)
    found = client.query("SELECT version, name, checksum FROM schema_migrations FINAL ORDER BY version").result_rows
    applied = {int(version): (name, checksum) for version, name, checksum in found}
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
        try:
            for statement in statements_of(sql):
                define(client, statement, cluster)
        except DATABASE_ERRORS as error:
            # A table that lacks columns of before is why, if there is one; later tables are not made yet.
            if lacking := [problem for problem in _strange_tables(client, cluster) if " lacks the columns " in problem]:
                raise ConfigError(lacking) from error
            raise
        client.insert("schema_migrations", [(version, name, checksum, datetime.now(UTC))], column_names=LEDGER_COLUMNS)
        done.append(name)
    problems = problems or list(_strange_tables(client, cluster))
    if problems:
        raise ConfigError(problems)
    return done


def _strange_tables(client: Any, cluster: str) -> Iterator[str]:
    """Yield what the tables lack although every migration is in the ledger."""
    engines = dict(
        client.query("SELECT name, engine FROM system.tables WHERE database = currentDatabase()").result_rows
    )
    sql = "SELECT table, groupArray(name) FROM system.columns WHERE database = currentDatabase() GROUP BY table"
    columns = {table: set(names) for table, names in client.query(sql).result_rows}
    for table, written in rows.COLUMNS.items():
        missing = [column for column in written if column not in columns.get(table, ())]
        if table not in engines:
            yield (
                f"history: the table {table} is gone although its migration was applied: restore it from a backup, or "
                "have every table that is missing made anew: TRUNCATE TABLE schema_migrations and start again"
            )
        elif missing:
            yield (
                f"history: the table {table} lacks the columns {', '.join(missing)} (half applied, or made by hand): "
                f"put it aside (RENAME TABLE {table} TO {table}_aside), TRUNCATE TABLE schema_migrations, start again, "
                "and copy back what it held"
            )
        elif cluster and not engines[table].startswith("Replicated"):
            yield (
                f"history.cluster: the table {table} was made for one server ({engines[table]}) and is not replicated: "
                "name another database in history.url and copy the rows over, or leave history.cluster out"
            )
