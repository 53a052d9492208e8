"""The tables on the real engine, and the form that a cluster is given."""

import hashlib
from typing import Any

import pytest

from analyzer.history import rows
from analyzer.history.migrations import LEDGER, REPLICA, load_migrations, migrate, replicate_statement, statements_of
from schemas.faults import ConfigError

DATABASE = "CREATE DATABASE IF NOT EXISTS `anchor-watch`"
ALL = [statement for _, _, sql in load_migrations() for statement in statements_of(sql)]
FILLING = [statement for statement in ALL if "INSERT INTO " in statement]
STATEMENTS = [statement for statement in ALL if statement not in FILLING]


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [version for version, _, _ in load_migrations()] == list(range(1, len(load_migrations()) + 1))


def test_every_table_that_is_written_is_made_once_and_told_to_know_its_batches() -> None:
    text = "\n".join(STATEMENTS)

    for table in rows.COLUMNS:
        assert text.count(f"CREATE TABLE IF NOT EXISTS {table} (") == 1
        assert text.count(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window") == 1


def test_statements_end_at_a_semicolon_that_ends_a_line() -> None:
    assert statements_of("A 'x;y';\n-- why; so\nB\n") == ["A 'x;y'", "-- why; so\nB"]
    assert statements_of("A;") == ["A"]


@pytest.mark.parametrize("statement", [LEDGER, *STATEMENTS], ids=lambda sql: sql.split("(")[0].split()[-1])
def test_the_replicated_form_differs_in_nothing_else(client: Any, statement: str) -> None:
    replicated = replicate_statement(statement, "watch")

    assert replicated.count(" ON CLUSTER 'watch'") == 1
    assert replicated.count("ENGINE = Replicated") == statement.count("ENGINE = ")
    single = replicated.replace(" ON CLUSTER 'watch'", "").replace("ENGINE = Replicated", "ENGINE = ")
    assert single.replace(f"({REPLICA})", "").replace(f"({REPLICA}, ", "(") == statement
    assert client.command(f"EXPLAIN AST {replicated}"), "the engine's parser refuses it"


@pytest.mark.parametrize("statement", FILLING, ids=lambda sql: sql.split("INTO")[1].split()[0])
def test_a_table_is_filled_by_one_replica_and_the_others_get_it_from_there(client: Any, statement: str) -> None:
    assert replicate_statement(statement, "watch") == statement
    assert client.command(f"EXPLAIN AST {statement}"), "the engine's parser refuses it"


def test_the_database_is_made_on_every_replica(client: Any) -> None:
    replicated = replicate_statement(DATABASE, "watch")

    assert replicated == "CREATE DATABASE IF NOT EXISTS `anchor-watch` ON CLUSTER 'watch'"
    assert client.command(f"EXPLAIN AST {replicated}")


@pytest.mark.parametrize(
    ("engine", "replicated"),
    [
        ("ReplacingMergeTree(seen_at)", "ReplicatedReplacingMergeTree('P', '{replica}', seen_at)"),
        ("ReplacingMergeTree", "ReplicatedReplacingMergeTree('P', '{replica}')"),
        ("AggregatingMergeTree()", "ReplicatedAggregatingMergeTree('P', '{replica}')"),
        ("SummingMergeTree((a, b))", "ReplicatedSummingMergeTree('P', '{replica}', (a, b))"),
        ("MergeTree", "ReplicatedMergeTree('P', '{replica}')"),
    ],
)
def test_engine_arguments_are_kept(engine: str, replicated: str) -> None:
    made = replicate_statement(f"CREATE TABLE IF NOT EXISTS t (a Int8) ENGINE = {engine} ORDER BY a", "watch")

    assert f"ENGINE = {replicated} ORDER BY a" in made.replace("/clickhouse/tables/{shard}/{database}/{table}", "P")


@pytest.mark.parametrize("statement", ["DROP TABLE findings", "SELECT 1", "CREATE TABLE t (a Int8) ENGINE = Memory"])
def test_a_statement_without_a_replicated_form_is_no_migration(statement: str) -> None:
    with pytest.raises(ValueError, match="no replicated form"):
        replicate_statement(statement, "watch")


def test_a_migration_is_applied_once(client: Any) -> None:
    assert migrate(client) == [name for _, name, _ in load_migrations()]
    assert migrate(client) == []


def test_what_was_applied_but_not_noted_is_applied_again(client: Any) -> None:
    migrate(client)
    client.insert("renewals", [("a.", *_instant(client), 0.5, True, 60.0)], column_names=rows.RENEWAL_COLUMNS)
    client.command("TRUNCATE TABLE schema_migrations")

    assert len(migrate(client)) == len(load_migrations())
    assert client.query("SELECT zone FROM renewals").result_rows == [("a.",)]


def _instant(client: Any) -> tuple[Any, ...]:
    return tuple(client.query("SELECT now64(6, 'UTC')").result_rows[0])


def test_a_half_applied_migration_names_the_table_and_its_missing_columns(client: Any) -> None:
    client.command("CREATE TABLE identities (id String, seen_at DateTime64(6, 'UTC')) ENGINE = MergeTree ORDER BY id")

    with pytest.raises(ConfigError) as caught:
        migrate(client)

    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("history: the table identities lacks the columns identity ")


def test_the_way_out_of_a_half_applied_migration_is_one(client: Any) -> None:
    client.command("CREATE TABLE identities (id String, seen_at DateTime64(6, 'UTC')) ENGINE = MergeTree ORDER BY id")
    with pytest.raises(ConfigError, match="RENAME TABLE identities TO identities_aside"):
        migrate(client)

    client.command("RENAME TABLE identities TO identities_aside")
    client.command("TRUNCATE TABLE schema_migrations")
    migrate(client)

    assert client.query("SELECT identity FROM identities").result_rows == []


def test_a_table_that_was_dropped_is_missed_at_the_start(client: Any) -> None:
    migrate(client)
    client.command("DROP TABLE evidence")

    with pytest.raises(ConfigError, match="the table evidence is gone"):
        migrate(client)


def test_a_later_version_and_an_edited_migration_are_refused(client: Any) -> None:
    migrate(client)
    columns = ("version", "name", "checksum", "applied_at")
    client.insert("schema_migrations", [(9999, "9999_later.sql", "x", *_instant(client))], column_names=columns)
    client.insert("schema_migrations", [(3, "0003_evidence.sql", "edited", *_instant(client))], column_names=columns)

    with pytest.raises(ConfigError) as caught:
        migrate(client)

    assert [problem.split(":")[1].split(",")[0] for problem in caught.value.problems] == [
        " the database has migration 9999_later.sql",
        " migration 0003_evidence.sql was applied in another form",
    ]


RELEASED = {
    "0001_observations.sql": "a8f9369ed70db951",
    "0002_verdicts.sql": "8751e838338f91c4",
    "0003_evidence.sql": "24db051c174d96ac",
    "0004_evidence.sql": "086773302c58eee6",
    "0005_findings.sql": "2fe33dc448b1c583",
    "0006_identities.sql": "d5486fd5ddbdf2e7",
    "0007_renewals.sql": "cb038f72d4d1d07b",
    "0008_deduplication.sql": "5c54952d6509ac39",
    "0009_durability.sql": "01a6ccfb3c96fc35",
    "0010_zones.sql": "51609224edf8e1d8",
    "0011_signed_until.sql": "25ea1f559f10e4f7",
    "0012_cadence.sql": "a6fb9f11953f5554",
    "0013_sweeps.sql": "50b38d43be8b4521",
    "0014_ttl.sql": "b3662479fe84ea93",
    "0015_console.sql": "f1662caf478ae737",
    "0016_findings.sql": "816b4ee884199b1d",
}


def test_released_migrations_are_as_they_were() -> None:
    known = {name: hashlib.sha256(sql.encode()).hexdigest()[:16] for _, name, sql in load_migrations()}

    assert known == RELEASED


def test_what_people_were_told_of_is_synced_at_each_insert(client: Any) -> None:
    migrate(client)

    sql = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"
    made = dict(client.query(sql).result_rows)

    for table in ("evidence_messages", "evidence", "findings", "observations", "zones", "sweeps", "acts"):
        assert "fsync_after_insert = 1" in made[table], table
        assert "fsync_part_directory = 1" in made[table], table
