-- The verdict history as intervals: one row an observation, stretched by every poll that found the same.
CREATE TABLE IF NOT EXISTS verdicts (
    name String,
    type LowCardinality(String),
    vantage LowCardinality(String),
    observation String,
    verdict SimpleAggregateFunction(anyLast, String),
    cause_zone SimpleAggregateFunction(anyLast, String),
    first_seen_at SimpleAggregateFunction(min, DateTime64(6, 'UTC')),
    last_seen_at SimpleAggregateFunction(max, DateTime64(6, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (name, type, vantage, observation)
TTL toDateTime(last_seen_at) + INTERVAL 800 DAY
