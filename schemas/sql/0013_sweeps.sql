-- Sweeps: what each server of a zone, and of its parent, said at about the same time. sweep is the whole of it as JSON,
-- memory what is remembered of the zone's servers after it: the next sweep is held against that.
CREATE TABLE IF NOT EXISTS sweeps (
    id String,
    zone String,
    parent String,
    vantage LowCardinality(String),
    swept_at DateTime64(6, 'UTC'),
    verdict LowCardinality(String),
    alarm Bool,
    servers Array(String),
    evidence String,
    sweep String CODEC(ZSTD(3)),
    memory String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (zone, vantage, swept_at, id)
TTL toDateTime(swept_at) + INTERVAL 90 DAY
SETTINGS index_granularity = 1024;
ALTER TABLE sweeps MODIFY SETTING non_replicated_deduplication_window = 1000;
ALTER TABLE sweeps MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
-- The authoritative servers at fault, by address.
ALTER TABLE findings ADD COLUMN IF NOT EXISTS servers Array(String)
