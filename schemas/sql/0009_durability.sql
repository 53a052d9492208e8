-- What people were told must be in the history after a power failure, too: the alerts' ledger syncs each step, so do these.
-- Parts that a merge replaces stay for eight minutes (old_parts_lifetime), so what a merge made needs no sync of its own.
ALTER TABLE evidence_messages MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE evidence MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE identities MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE renewals MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE findings MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE observations MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE verdicts MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
