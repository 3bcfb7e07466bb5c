-- Which partitions exist, beside DEFAULT?
-- Columns: name text, begins timestamptz, ends timestamptz, ours boolean, bytes bigint, tuned boolean, thinned boolean, vacuumed_at timestamptz?
-- Index: none
--
-- ours: a plain table in our schema; others are counted and left alone. bytes is the size of the rows: 0 if
-- nothing was ever stored there, or it was just dropped. thinned: only failures are left.
select
    child.relname::text as name,
    partition.begins,
    partition.ends,
    child.relkind = 'r' and child.relnamespace = 'execlog'::regnamespace as ours,
    coalesce(pg_relation_size(child.oid), 0) as bytes,
    child.reloptions is not null as tuned,
    obj_description(child.oid, 'pg_class') is not distinct from 'Failures only.' as thinned,
    greatest(pg_stat_get_last_vacuum_time(child.oid), pg_stat_get_last_autovacuum_time(child.oid)) as vacuumed_at
from execlog.partitions() as partition
join pg_catalog.pg_class as child on child.oid = partition.id
where not partition.is_default
order by partition.begins
