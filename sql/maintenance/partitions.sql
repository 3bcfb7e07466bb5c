-- Which partitions are there, beside DEFAULT?
-- Columns: name text, begins timestamptz, ends timestamptz, ours boolean, bytes bigint, tuned boolean, thinned boolean, vacuumed_at timestamptz?
-- Index: none
--
-- ours: a plain table in our schema; others are counted and left alone. bytes are those of the rows: none
-- where nothing was ever stored there. thinned: only failures are left.
select
    child.relname::text as name,
    partition.begins,
    partition.ends,
    child.relkind = 'r' and child.relnamespace = 'execlog'::regnamespace as ours,
    pg_relation_size(child.oid) as bytes,
    child.reloptions is not null as tuned,
    obj_description(child.oid, 'pg_class') is not distinct from 'Failures only.' as thinned,
    greatest(stats.last_vacuum, stats.last_autovacuum) as vacuumed_at
from execlog.partitions() as partition
join pg_catalog.pg_class as child on child.oid = partition.id
left join pg_catalog.pg_stat_all_tables as stats on stats.relid = child.oid
where not partition.is_default
order by partition.begins
