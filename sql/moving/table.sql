-- What is this table called, and about how many rows has it?
-- $1 id bigint
-- Columns: schema_name text, table_name text, quoted text, is_table boolean, estimated_rows double precision
-- Index: none
--
-- Names are quoted here, by the server, and nowhere else.
select
    n.nspname::text as schema_name,
    c.relname::text as table_name,
    pg_catalog.format('%I.%I', n.nspname, c.relname) as quoted,
    c.relkind in ('r', 'p', 'v', 'm', 'f') as is_table,
    case when c.relkind <> 'p' and c.reltuples > 0 then c.reltuples::double precision end as estimated_rows
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.oid = $1::bigint::oid
