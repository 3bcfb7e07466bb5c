-- The executions that were stored since a place, in the order of the transactions that stored them.
-- $1 seen text? always
-- $2 upto text? always
-- $3 after_xid text
-- $4 after_id uuid
-- $5 limit bigint
-- $6 strategy_ids text[]?
-- $7 and on: filters
-- switch bare
-- switch no_input
-- Columns: upto text, current text, is_behind boolean, is_standby boolean, is_kept boolean, looked_at bigint, last_xid text?, last_id uuid?, StrategyExecutionLog
-- Index: strategy_execution_log_stored
--
-- New are the rows that this statement sees and the snapshot of the one before did not: those of transactions that
-- began after it, and those of the few that it lists as unfinished. So nothing that was returned is read
-- again, however long another transaction stays open, and a row's time does not matter.
-- The first rows in that order are looked at, and then filtered: a rare value makes no call longer. Only those of
-- other tenants are passed over, so that no answer depends on them. Of one transaction, whose rows no index has in
-- an order, all are read for each page that begins or ends in it.
-- A standby knows of no unfinished transactions but the oldest: there its rows, and all later ones, are for later.
-- A transaction is found by a range: the planner expects few rows of that, and many of one that is equal.
-- A log that is spread over a cluster has neither the order nor the index, and nothing is read from it.
-- There is always a row of the answer, since it says where the next call begins.
with given as materialized (
    select
        coalesce($1::text, current)::pg_snapshot as seen,
        coalesce($2::text, current)::pg_snapshot as upto,
        current::pg_snapshot as current,
        is_standby,
        is_kept
    from (
        select
            case when is_standby then concat(xmin, ':', xmin, ':') else snapshot::text end as current,
            is_standby,
            is_kept
        from (
            select
                pg_current_snapshot() as snapshot,
                pg_snapshot_xmin(pg_current_snapshot()) as xmin,
                pg_is_in_recovery() as is_standby,
                (
                    select atthasdef
                    from pg_catalog.pg_attribute
                    where attrelid = 'execlog.strategy_execution_log'::regclass
                        and attname = 'stored_xid'
                ) as is_kept
        ) as server
    ) as present
),
ends as materialized (
    select
        pg_snapshot_xmax(seen) as begins,
        pg_snapshot_xmax(upto) as ends,
        array(
            select xid
            from pg_snapshot_xip(seen) as unfinished (xid)
            where is_kept
                and pg_visible_in_snapshot(xid, upto)
        ) as finished
    from given
),
stored as materialized (
    select *
    from (
        (
            select
                :columns(stored),
                stored_xid
            from execlog.strategy_execution_log
            where (select is_kept from given)
                and stored_xid >= (select begins from ends)
                and stored_xid < (select ends from ends)
                and pg_visible_in_snapshot(stored_xid, (select upto from given))
                and (stored_xid, id) > ($3::text::xid8, $4::uuid)
                and realm_id = any($7::text[])  -- if realm_ids
            order by stored_xid, id
            limit 1000
        )
        union all
        (
            select
                kept.*
            from unnest((select finished from ends)) as unfinished (xid)
            cross join lateral (
                select
                    :columns(stored),
                    stored_xid
                from execlog.strategy_execution_log
                where stored_xid >= unfinished.xid
                    and stored_xid <= unfinished.xid
                    and (stored_xid, id) > ($3::text::xid8, $4::uuid)
                    and realm_id = any($7::text[])  -- if realm_ids
                offset 0
            ) as kept
            order by unfinished.xid, kept.id
            limit 1000
        )
    ) as fresh
    order by stored_xid, id
    limit $5::bigint
),
last as (
    select
        stored_xid as last_xid,
        id as last_id
    from stored
    order by stored_xid desc, id desc
    limit 1
),
execution as (
    select
        :columns(stored),
        stored_xid
    from stored
    where true
        and strategy_id = any($6::text[])  -- if strategy_ids
        :filters
)
select
    given.upto::text as upto,
    given.current::text as current,
    pg_snapshot_xmax(given.current) < greatest(ends.begins, ends.ends) as is_behind,
    given.is_standby,
    given.is_kept,
    (select count(*) from stored) as looked_at,
    last_xid::text as last_xid,
    last_id,
    :columns
from given
cross join ends
left join last on true
left join execution on true
order by stored_xid, id
