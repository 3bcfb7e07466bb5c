-- One process migrates at a time. The number is the first 63 bits of SHA-256('execlog.migrate').
-- Columns: pg_advisory_xact_lock void
-- Index: none
select pg_advisory_xact_lock(975167246662094809)
