-- Which partitions are there, beside DEFAULT?
-- Columns: name text, begins timestamptz, ends timestamptz, bytes bigint, tuned boolean, thinned boolean, vacuumed_at timestamptz?
-- Index: none
--
-- bytes are those of the rows: none where nothing was ever stored there. thinned: only failures are left.
select
    child.relname::text as name,
    coalesce(substring(pg_get_expr(child.relpartbound, child.oid) from 'FROM \(''([^'']+)''\)')::timestamptz, '-infinity') as begins,
    coalesce(substring(pg_get_expr(child.relpartbound, child.oid) from 'TO \(''([^'']+)''\)')::timestamptz, 'infinity') as ends,
    pg_relation_size(child.oid) as bytes,
    child.reloptions is not null as tuned,
    obj_description(child.oid, 'pg_class') is not distinct from 'Failures only.' as thinned,
    greatest(stats.last_vacuum, stats.last_autovacuum) as vacuumed_at
from pg_catalog.pg_inherits as link
join pg_catalog.pg_class as child on child.oid = link.inhrelid
left join pg_catalog.pg_stat_all_tables as stats on stats.relid = child.oid
where link.inhparent = 'execlog.strategy_execution_log'::regclass
    and pg_get_expr(child.relpartbound, child.oid) <> 'DEFAULT'
order by begins
