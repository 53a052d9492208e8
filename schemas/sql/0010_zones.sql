-- Zones as each vantage sees them: first sights, changes and renewed signatures; observation is the whole of it as JSON.
CREATE TABLE IF NOT EXISTS zones (
    id String,
    zone String,
    vantage LowCardinality(String),
    observed_at DateTime64(6, 'UTC'),
    occasion LowCardinality(String),
    verdict LowCardinality(String),
    parent String,
    reasons Array(LowCardinality(String)),
    ds Array(String),
    keys Array(Tuple(tag UInt16, algorithm UInt8, flags UInt16, bits Nullable(UInt32), digest String)),
    signed_by Array(UInt16),
    inception_at Nullable(DateTime64(6, 'UTC')),
    expires_at Nullable(DateTime64(6, 'UTC')),
    evidence String,
    observation String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (zone, vantage, observed_at)
TTL toDateTime(observed_at) + INTERVAL 800 DAY
SETTINGS index_granularity = 1024;
-- What people did, for ever traceable.
CREATE TABLE IF NOT EXISTS acts (
    id String,
    at DateTime64(6, 'UTC'),
    kind LowCardinality(String),
    who String,
    subject String,
    act String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (at, id)
TTL toDateTime(at) + INTERVAL 800 DAY;
-- An endpoint's evidence has its own messages; those of its zones are stored once, under the digests here.
ALTER TABLE evidence ADD COLUMN IF NOT EXISTS zones Array(String);
ALTER TABLE zones MODIFY SETTING non_replicated_deduplication_window = 1000;
ALTER TABLE acts MODIFY SETTING non_replicated_deduplication_window = 1000;
ALTER TABLE zones MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE acts MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1
