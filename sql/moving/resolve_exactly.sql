-- Which tables have exactly this name, with or without their schema's? Nothing is folded or unquoted.
-- $1 name text
-- Columns: id bigint
-- Index: none
select c.oid::bigint as id
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and (
        (c.relname = $1::text and pg_catalog.pg_table_is_visible(c.oid))
        or n.nspname || '.' || c.relname = $1::text
    )
order by c.oid
limit 2
