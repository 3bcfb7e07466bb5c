-- How many rows does the log hold of what was stored in these hours, at least?
-- $1 since timestamptz? always
-- $2 until timestamptz? always
-- Columns: held bigint?, removed bigint?
-- Index: strategy_execution_log_stored
--
-- The accounts of these hours say which transactions stored in them, from the last one that the recorder told of
-- before; rows of others that stored meanwhile are counted too. Removed is what `maintain` has removed since:
-- what the rollups count of runs before rows_from, from an hour earlier on, since a run ends before it is stored.
-- Rollups know when a run ran and not when it was stored: some of these may have been stored in other hours, and
-- those that were stored more than an hour late are not among them. NULL: not known, since there is no index of
-- arrival (on a cluster), or since the rollups are removed as well.
with span as (
    select range_agg(
        case
            -- Batches may have gone without the account in between.
            when before.last_xid < own.first_xid and before.last_xid < own.last_xid
            then pg_catalog.int8range(before.last_xid::text::bigint, own.last_xid::text::bigint, '(]')
            else pg_catalog.int8range(
                least(own.first_xid, own.last_xid)::text::bigint,
                greatest(own.first_xid, own.last_xid)::text::bigint,
                '[]'
            )
        end
    ) as xids
    from execlog.recorder_account as own
    left join execlog.recorder_account as before on before.recorder_id = own.recorder_id and before.hour = own.earlier
    where own.hour >= coalesce($1::timestamptz, '-infinity')
        and own.hour <= coalesce($2::timestamptz, 'infinity')
)
select
    case
        when to_regclass('execlog.strategy_execution_log_stored') is not null
        then (
            select coalesce(sum(stored.rows), 0)::bigint
            from (select unnest(xids) as xids from span) as part
            cross join lateral (
                select count(*) as rows
                from execlog.strategy_execution_log
                where stored_xid >= lower(part.xids)::text::xid8
                    and stored_xid < upper(part.xids)::text::xid8
            ) as stored
        )
    end as held,
    case
        when state.hours_from <= coalesce($1::timestamptz, '-infinity')
            or state.rows_from <= coalesce($1::timestamptz, '-infinity')
        then (
            select coalesce(sum(rollup.ok + rollup.error + rollup.timeout + rollup."limit" + rollup.other), 0)::bigint
            from execlog.rollup as rollup
            where rollup.grain = 3600
                and rollup.begins >= coalesce($1::timestamptz, '-infinity') - interval '1 hour'
                and rollup.begins <= coalesce($2::timestamptz, 'infinity')
                and rollup.begins < state.rows_from
        )
    end as removed
from (values (true)) as answer (only_row)
left join execlog.rollup_state as state on state.only_row = answer.only_row
