-- What people were told must be in the history after a power failure, too: the alerts' ledger syncs each step, so do the
-- tables of findings, observations and their evidence. Intervals, identities and renewals are made good by the next polls.
-- Parts that a merge replaces stay for eight minutes (old_parts_lifetime), so what a merge made needs no sync of its own.
ALTER TABLE evidence_messages MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE evidence MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE findings MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE observations MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
