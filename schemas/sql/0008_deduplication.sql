-- A batch that is sent again (the answer to the first was lost) is known by its token and dropped. Replicated tables do so
-- by themselves; of one server's tables each keeps the tokens of its last 1,000 inserts.
ALTER TABLE observations MODIFY SETTING non_replicated_deduplication_window = 1000;
ALTER TABLE verdicts MODIFY SETTING non_replicated_deduplication_window = 1000;
ALTER TABLE evidence_messages MODIFY SETTING non_replicated_deduplication_window = 1000;
ALTER TABLE evidence MODIFY SETTING non_replicated_deduplication_window = 1000;
ALTER TABLE findings MODIFY SETTING non_replicated_deduplication_window = 1000;
ALTER TABLE identities MODIFY SETTING non_replicated_deduplication_window = 1000;
ALTER TABLE renewals MODIFY SETTING non_replicated_deduplication_window = 1000;
