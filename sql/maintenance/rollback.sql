-- Rolls back the transaction of an unfinished step.
-- Columns: none
-- Index: none
rollback
