-- Content-addressed: a DNS message of the chain is stored once, however many verdicts rest on it.
CREATE TABLE IF NOT EXISTS evidence_messages (
    digest String,
    wire String CODEC(ZSTD(3)),
    stored_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY digest
TTL toDateTime(stored_at) + INTERVAL 400 DAY
