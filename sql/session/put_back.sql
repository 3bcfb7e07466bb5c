-- Restores the limits.
-- $1 names text[]
-- $2 values text[]
-- $3 is_local boolean
-- Columns: set_config text
-- Index: none
select pg_catalog.set_config(name, value, $3::boolean) as set_config
from unnest($1::text[], $2::text[]) as kept (name, value)
