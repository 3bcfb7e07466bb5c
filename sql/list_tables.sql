-- The tables that hold the log: its partitions, and its rollups, with their sizes.
-- Columns: name text, kind text, begins timestamptz?, ends timestamptz?, estimated_rows bigint?, table_bytes bigint, index_bytes bigint
-- Index: none
--
-- The newest partitions first, then DEFAULT, which takes rows that no other covers, then the rollups. Rows
-- are the estimate of the server's last ANALYZE, or of its statistics before the first one; unknown if it
-- has none, as on a standby. A bound at an end of the calendar is NULL. A table that was just dropped has
-- no size.
with stored as (
    select
        partition.id,
        case when partition.is_default then 'default' else 'partition' end as kind,
        nullif(nullif(partition.begins, '-infinity'), 'infinity') as begins,
        nullif(nullif(partition.ends, '-infinity'), 'infinity') as ends
    from execlog.partitions() as partition
    union all
    select
        'execlog.rollup'::regclass::oid,
        'rollup',
        null,
        null
)
select
    class.relname::text as name,
    stored.kind,
    stored.begins,
    stored.ends,
    case
        when class.reltuples > 0 then class.reltuples
        when pg_stat_get_live_tuples(class.oid) > 0 then pg_stat_get_live_tuples(class.oid)
        when pg_stat_get_tuples_inserted(class.oid) > 0 or pg_relation_size(class.oid) = 0 then 0
    end::bigint as estimated_rows,
    coalesce(pg_table_size(class.oid), 0) as table_bytes,
    coalesce(pg_indexes_size(class.oid), 0) as index_bytes
from stored
join pg_catalog.pg_class as class on class.oid = stored.id
order by
    array_position(array['partition', 'default', 'rollup'], stored.kind),
    stored.begins desc nulls last,
    class.relname
limit 1000
