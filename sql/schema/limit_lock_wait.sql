-- How long may a statement of this transaction wait for a lock? Local, so a pooler sees nothing of it.
-- $1 lock_timeout text
-- Columns: set_config text
-- Index: none
select pg_catalog.set_config('lock_timeout', $1::text, true)
