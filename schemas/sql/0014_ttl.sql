-- The TTL of an answer as it was seen: caches count it down, so of many sights the largest comes closest to the zone's own.
ALTER TABLE observations ADD COLUMN IF NOT EXISTS ttl_s UInt32 DEFAULT JSONExtractUInt(judgement, 'ttl_s')
