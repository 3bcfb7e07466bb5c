-- What do the rollups hold, and what do the rows?
-- Columns: enabled boolean, begun_at timestamptz, complete_until timestamptz, marks bigint, changed text[], bytes bigint?, rows_from timestamptz, minutes_from timestamptz, hours_from timestamptz, versions_from timestamptz, missing boolean
-- Index: none
--
-- One row. complete_until of -infinity: nothing is summed up. If the table's row is missing, for example after a
-- restore of the schema alone, nothing is known of the rollups and all is read from rows.
select
    coalesce(state.enabled, false) as enabled,
    coalesce(state.begun_at, '-infinity') as begun_at,
    coalesce(state.complete_until, '-infinity') as complete_until,
    (select count(*) from execlog.rollup_mark) + (select count(*) from execlog.rollup_mark_of_all) as marks,
    (
        -- Gone, emptied or put in another's place by hand, or their triggers are off.
        select coalesce(array_agg(distinct changed.name::text order by changed.name::text), '{}')
        from (
            select name
            from execlog.rollup_partition
            where begins < least(ends, state.complete_until)
                and ends > state.rows_from
                and (id, name, file, watch) not in (select id, name, file, watch from execlog.rollup_watched())
            union all
            select class.relname
            from pg_catalog.pg_inherits as inherits
            join pg_catalog.pg_class as class on class.oid = inherits.inhrelid
            where inherits.inhparent = 'execlog.strategy_execution_log'::regclass
                and class.oid not in (select id from execlog.rollup_watched())
        ) as changed
    ) as changed,
    case when to_regclass('pg_catalog.pg_dist_partition') is null then pg_total_relation_size('execlog.rollup') end as bytes,
    coalesce(state.rows_from, '-infinity') as rows_from,
    coalesce(state.minutes_from, '-infinity') as minutes_from,
    coalesce(state.hours_from, '-infinity') as hours_from,
    coalesce(state.versions_from, '-infinity') as versions_from,
    state.enabled is null as missing
from (values (true)) as answer (only_row)
left join execlog.rollup_state as state on state.only_row operator(pg_catalog.=) answer.only_row
