-- Every finding at every point of its life; the newest version is the finding. trigger is the message that caused it.
CREATE TABLE IF NOT EXISTS findings (
    id String,
    version UInt32,
    key String,
    code LowCardinality(String),
    kind LowCardinality(String),
    status LowCardinality(String),
    severity LowCardinality(String),
    confirmed Bool,
    cause_zone String,
    opened_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    trigger String,
    finding String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (id, version)
TTL toDateTime(updated_at) + INTERVAL 800 DAY
