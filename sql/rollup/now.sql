-- The server's time.
-- Columns: now timestamptz
-- Index: none
select now() as now
