-- One process makes a log at a time. Any role can hold this lock: it is for the first migration only.
-- Columns: pg_advisory_xact_lock void
-- Index: none
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('execlog.migrate', 0))
