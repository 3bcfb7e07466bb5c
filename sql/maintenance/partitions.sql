-- Which partitions exist, beside DEFAULT?
-- Columns: name text, begins timestamptz, ends timestamptz, ours boolean, bytes bigint, tuned boolean, thinned boolean, vacuumed_at timestamptz?, cleared_before bigint?
-- Index: none
--
-- ours: a plain table in our schema; others are counted and left alone. bytes is the size of the rows: 0 if
-- nothing was ever stored there, or it was just dropped. thinned: only failures are left. cleared_before: inputs
-- were cleared of rows of earlier transactions; a table that was copied or restored is another one.
select
    child.relname::text as name,
    partition.begins,
    partition.ends,
    child.relkind = 'r' and child.relnamespace = 'execlog'::regnamespace as ours,
    coalesce(pg_relation_size(child.oid), 0) as bytes,
    child.reloptions is not null as tuned,
    obj_description(child.oid, 'pg_class') is not distinct from 'Failures only.' as thinned,
    greatest(pg_stat_get_last_vacuum_time(child.oid), pg_stat_get_last_autovacuum_time(child.oid)) as vacuumed_at,
    substring(
        col_description(child.oid, input.attnum)
        from '^Cleared before transaction ([0-9]{1,18}) of relation ' || child.oid || '\.$'
    )::bigint as cleared_before
from execlog.partitions() as partition
join pg_catalog.pg_class as child on child.oid = partition.id
left join pg_catalog.pg_attribute as input
    on input.attrelid = child.oid
    and input.attname = 'input'
    and not input.attisdropped
where not partition.is_default
order by partition.begins
