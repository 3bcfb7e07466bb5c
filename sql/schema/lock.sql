-- One process migrates a log at a time.
-- Columns: pg_advisory_xact_lock void
-- Index: none
select pg_advisory_xact_lock(hashtextextended('execlog.migrate', 0))
