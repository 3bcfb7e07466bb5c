-- Limits how long a statement of this transaction may wait for a lock. Local, so a pooler is not affected.
-- $1 lock_timeout text
-- Columns: set_config text
-- Index: none
select pg_catalog.set_config('lock_timeout', $1::text, true)
