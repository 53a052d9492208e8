-- What pages ask for, kept as rows come in, so that a page reads what it shows and not a year. Of each check the poll that
-- is the newest.
CREATE TABLE IF NOT EXISTS checks_now (
    name String,
    type LowCardinality(String),
    vantage LowCardinality(String),
    key UInt64 DEFAULT sipHash64(name, type, vantage),
    last_seen_at DateTime64(6, 'UTC'),
    observation String,
    verdict LowCardinality(String),
    cause_zone String,
    signed_until Nullable(DateTime64(6, 'UTC'))
)
ENGINE = ReplacingMergeTree(last_seen_at)
ORDER BY (name, type, vantage)
TTL toDateTime(last_seen_at) + INTERVAL 800 DAY;
CREATE MATERIALIZED VIEW IF NOT EXISTS checks_now_view TO checks_now AS
SELECT name, type, vantage, last_seen_at, observation, verdict, cause_zone, signed_until FROM verdicts;
INSERT INTO checks_now (name, type, vantage, last_seen_at, observation, verdict, cause_zone, signed_until)
SELECT name, type, vantage, max(v.last_seen_at), argMax(observation, v.last_seen_at), argMax(v.verdict, v.last_seen_at),
       argMax(v.cause_zone, v.last_seen_at), argMax(tuple(v.signed_until), v.last_seen_at).1
FROM verdicts AS v GROUP BY name, type, vantage;
-- Of each check the newest judgement: its chain, and what the resolver tells its clients ('' where it was not asked).
CREATE TABLE IF NOT EXISTS judged_now (
    name String,
    type LowCardinality(String),
    vantage LowCardinality(String),
    key UInt64 DEFAULT sipHash64(name, type, vantage),
    observed_at DateTime64(6, 'UTC'),
    verdict LowCardinality(String),
    chain Array(String),
    claim LowCardinality(String)
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (name, type, vantage)
TTL toDateTime(observed_at) + INTERVAL 800 DAY;
CREATE MATERIALIZED VIEW IF NOT EXISTS judged_now_view TO judged_now AS
SELECT name, type, vantage, observed_at, verdict,
       arrayMap(link -> JSONExtractString(link, 'zone'), JSONExtractArrayRaw(judgement, 'chain')) AS chain,
       if(JSONExtractBool(judgement, 'resolver', 'ad'), 'AD', JSONExtractString(judgement, 'resolver', 'rcode')) AS claim
FROM observations;
INSERT INTO judged_now (name, type, vantage, observed_at, verdict, chain, claim)
SELECT name, type, vantage, at, last_verdict,
       arrayMap(link -> JSONExtractString(link, 'zone'), JSONExtractArrayRaw(judged, 'chain')),
       if(JSONExtractBool(judged, 'resolver', 'ad'), 'AD', JSONExtractString(judged, 'resolver', 'rcode'))
FROM (
    SELECT name, type, vantage, max(observed_at) AS at, argMax(verdict, observed_at) AS last_verdict,
           argMax(judgement, observed_at) AS judged
    FROM observations GROUP BY name, type, vantage
);
-- What began or changed, by time.
CREATE TABLE IF NOT EXISTS changes (
    observed_at DateTime64(6, 'UTC'),
    name String,
    type LowCardinality(String),
    vantage LowCardinality(String),
    key UInt64 DEFAULT sipHash64(name, type, vantage),
    verdict LowCardinality(String),
    cause_zone String,
    answers UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (observed_at, name, type, vantage)
TTL toDateTime(observed_at) + INTERVAL 800 DAY;
CREATE MATERIALIZED VIEW IF NOT EXISTS changes_view TO changes AS
SELECT observed_at, name, type, vantage, verdict, cause_zone, cityHash64(answers) AS answers
FROM observations WHERE occasion != 'refresh';
INSERT INTO changes (observed_at, name, type, vantage, verdict, cause_zone, answers)
SELECT observed_at, name, type, vantage, verdict, cause_zone, cityHash64(answers)
FROM observations WHERE occasion != 'refresh';
-- Of each zone and vantage the newest observation, with the signature that ends first.
CREATE TABLE IF NOT EXISTS zones_now (
    zone String,
    vantage LowCardinality(String),
    observed_at DateTime64(6, 'UTC'),
    verdict LowCardinality(String),
    parent String,
    reasons Array(LowCardinality(String)),
    ds_count UInt16,
    key_tags Array(UInt16),
    algorithms Array(UInt8),
    over String,
    begins_at Nullable(DateTime64(6, 'UTC')),
    ends_at Nullable(DateTime64(6, 'UTC'))
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (zone, vantage)
TTL toDateTime(observed_at) + INTERVAL 800 DAY;
CREATE MATERIALIZED VIEW IF NOT EXISTS zones_now_view TO zones_now AS
WITH arraySort(w -> JSONExtractString(w, 'expires_at'), JSONExtractArrayRaw(observation, 'windows'))[1] AS first
SELECT zone, vantage, observed_at, verdict, parent, reasons, length(ds) AS ds_count,
       arrayMap(key -> key.tag, keys) AS key_tags, arraySort(arrayDistinct(arrayMap(key -> key.algorithm, keys))) AS algorithms,
       JSONExtractString(first, 'rrset') AS over,
       if(first = '', NULL, parseDateTime64BestEffort(
           if(first = '', '1970-01-01T00:00:00Z', JSONExtractString(first, 'inception_at')), 6, 'UTC')) AS begins_at,
       if(first = '', NULL, parseDateTime64BestEffort(
           if(first = '', '1970-01-01T00:00:00Z', JSONExtractString(first, 'expires_at')), 6, 'UTC')) AS ends_at
FROM zones;
INSERT INTO zones_now
WITH arraySort(w -> JSONExtractString(w, 'expires_at'), JSONExtractArrayRaw(observation, 'windows'))[1] AS first
SELECT zone, vantage, observed_at, verdict, parent, reasons, length(ds),
       arrayMap(key -> key.tag, keys), arraySort(arrayDistinct(arrayMap(key -> key.algorithm, keys))),
       JSONExtractString(first, 'rrset'),
       if(first = '', NULL, parseDateTime64BestEffort(
           if(first = '', '1970-01-01T00:00:00Z', JSONExtractString(first, 'inception_at')), 6, 'UTC')),
       if(first = '', NULL, parseDateTime64BestEffort(
           if(first = '', '1970-01-01T00:00:00Z', JSONExtractString(first, 'expires_at')), 6, 'UTC'))
FROM zones WHERE (zone, vantage, observed_at) IN (SELECT zone, vantage, max(observed_at) FROM zones GROUP BY zone, vantage);
-- What lists sort and filter by, out of the JSON.
ALTER TABLE identities
    ADD COLUMN IF NOT EXISTS owner String DEFAULT JSONExtractString(identity, 'owner'),
    ADD COLUMN IF NOT EXISTS kind LowCardinality(String) DEFAULT JSONExtractString(identity, 'kind'),
    ADD COLUMN IF NOT EXISTS environment String DEFAULT JSONExtractString(identity, 'environment'),
    ADD COLUMN IF NOT EXISTS criticality LowCardinality(String) DEFAULT JSONExtractString(identity, 'criticality'),
    ADD COLUMN IF NOT EXISTS names Array(String) DEFAULT arrayDistinct(arrayMap(
        endpoint -> concat(JSONExtractString(endpoint, 'host'), '.'), JSONExtractArrayRaw(identity, 'endpoints')));
ALTER TABLE identities
    MATERIALIZE COLUMN owner, MATERIALIZE COLUMN kind, MATERIALIZE COLUMN environment, MATERIALIZE COLUMN criticality,
    MATERIALIZE COLUMN names;
-- Of each finding the newest version.
CREATE TABLE IF NOT EXISTS findings_now (
    id String,
    version UInt32,
    code LowCardinality(String),
    kind LowCardinality(String),
    status LowCardinality(String),
    severity LowCardinality(String),
    confirmed Bool,
    cause_zone String,
    cause_rrset String,
    detail String,
    opened_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    endpoint_count UInt32,
    identity_count UInt32,
    owners Array(String),
    servers Array(String)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
TTL toDateTime(updated_at) + INTERVAL 800 DAY;
CREATE MATERIALIZED VIEW IF NOT EXISTS findings_now_view TO findings_now AS
SELECT id, version, code, kind, status, severity, confirmed, cause_zone, JSONExtractString(finding, 'cause_rrset') AS cause_rrset,
       JSONExtractString(finding, 'detail') AS detail, opened_at, updated_at,
       JSONExtractUInt(finding, 'endpoint_count') AS endpoint_count,
       greatest(JSONExtractUInt(finding, 'identity_count'), JSONLength(finding, 'identities')) AS identity_count,
       arraySort(arrayDistinct(arrayFilter(owner -> owner != '', arrayMap(
           one -> JSONExtractString(one, 'owner'), JSONExtractArrayRaw(finding, 'identities'))))) AS owners,
       servers
FROM findings;
INSERT INTO findings_now
SELECT id, version, code, kind, status, severity, confirmed, cause_zone, JSONExtractString(finding, 'cause_rrset'),
       JSONExtractString(finding, 'detail'), opened_at, updated_at, JSONExtractUInt(finding, 'endpoint_count'),
       greatest(JSONExtractUInt(finding, 'identity_count'), JSONLength(finding, 'identities')),
       arraySort(arrayDistinct(arrayFilter(owner -> owner != '', arrayMap(
           one -> JSONExtractString(one, 'owner'), JSONExtractArrayRaw(finding, 'identities'))))),
       servers
FROM findings WHERE (id, version) IN (SELECT id, max(version) FROM findings GROUP BY id)
