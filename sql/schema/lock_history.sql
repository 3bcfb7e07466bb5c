-- One process migrates a log at a time. A role that may only read can't hold this lock.
-- Columns: none
-- Index: none
lock table execlog.schema_migration in share row exclusive mode
