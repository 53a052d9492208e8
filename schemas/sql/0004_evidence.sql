CREATE TABLE IF NOT EXISTS evidence (
    digest String,
    name String,
    type LowCardinality(String),
    at DateTime64(6, 'UTC'),
    messages Array(String),
    trust_anchors Array(String),
    policy String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY digest
TTL toDateTime(at) + INTERVAL 400 DAY
