-- How much of a signature's lifetime was left when a zone renewed it: the rhythm that expiry is judged by.
CREATE TABLE IF NOT EXISTS renewals (
    zone String,
    at DateTime64(6, 'UTC'),
    left_ratio Float64
)
ENGINE = ReplacingMergeTree
ORDER BY (zone, at)
TTL toDateTime(at) + INTERVAL 400 DAY
