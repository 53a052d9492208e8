-- The time between renewals, the key set's apart from the data's: others sign it, and more seldom.
ALTER TABLE renewals
    ADD COLUMN IF NOT EXISTS of_keys Bool,
    ADD COLUMN IF NOT EXISTS interval_s Float64 DEFAULT 0,
    MODIFY ORDER BY (zone, at, of_keys)
