-- What lists of findings show, as columns: to parse the JSON of all versions takes longer than a page may.
ALTER TABLE findings
    ADD COLUMN IF NOT EXISTS cause_rrset String DEFAULT JSONExtractString(finding, 'cause_rrset'),
    ADD COLUMN IF NOT EXISTS detail String DEFAULT JSONExtractString(finding, 'detail'),
    ADD COLUMN IF NOT EXISTS endpoint_count UInt32 DEFAULT JSONExtractUInt(finding, 'endpoint_count'),
    ADD COLUMN IF NOT EXISTS identity_count UInt32
        DEFAULT greatest(JSONExtractUInt(finding, 'identity_count'), JSONLength(finding, 'identities')),
    ADD COLUMN IF NOT EXISTS owners Array(String)
        DEFAULT arraySort(arrayDistinct(arrayFilter(owner -> owner != '', arrayMap(
            one -> JSONExtractString(one, 'owner'), JSONExtractArrayRaw(finding, 'identities')))));
ALTER TABLE findings
    MATERIALIZE COLUMN cause_rrset, MATERIALIZE COLUMN detail, MATERIALIZE COLUMN endpoint_count,
    MATERIALIZE COLUMN identity_count, MATERIALIZE COLUMN owners
