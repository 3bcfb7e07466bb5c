-- How many pages does a partition have, and which transactions may store rows there that are not in them yet?
-- $1 name text
-- Columns: relation bigint, pages bigint, before bigint
-- Index: none
--
-- A row that this statement does not see is of a transaction with this number or a higher one.
select
    oid::bigint as relation,
    pg_relation_size(oid) / current_setting('block_size')::bigint as pages,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as before
from pg_catalog.pg_class
where relname = $1::text
    and relnamespace = 'execlog'::regnamespace
