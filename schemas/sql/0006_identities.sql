-- Who consumes what, as last seen; an identity that is gone has an empty row.
CREATE TABLE IF NOT EXISTS identities (
    id String,
    seen_at DateTime64(6, 'UTC'),
    identity String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY id
