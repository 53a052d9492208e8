-- What was observed: first sights, changes and refreshes; judgement is the whole of it as JSON.
CREATE TABLE IF NOT EXISTS observations (
    id String,
    name String,
    type LowCardinality(String),
    vantage LowCardinality(String),
    observed_at DateTime64(6, 'UTC'),
    occasion LowCardinality(String),
    verdict LowCardinality(String),
    rcode LowCardinality(String),
    cause_zone String,
    reasons Array(LowCardinality(String)),
    answers Array(String),
    expires_at Nullable(DateTime64(6, 'UTC')),
    evidence String,
    judgement String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (name, type, vantage, observed_at)
TTL toDateTime(observed_at) + INTERVAL 800 DAY
SETTINGS index_granularity = 1024
