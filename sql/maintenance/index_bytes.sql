-- How many bytes does an index of the log take?
-- $1 name text
-- Columns: bytes bigint?
-- Index: none
select pg_relation_size(oid) as bytes
from pg_catalog.pg_class
where relname = $1::text
    and relnamespace = 'execlog'::regnamespace
    and relkind = 'i'
