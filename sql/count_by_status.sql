-- How many executions ended how. One row a status, so the list needs no limit.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- Columns: status text, count bigint
-- Index: strategy_execution_log_newest
--
-- Rows without a time belong to the unbounded window only. They are a branch of their own because
-- a single condition with `or` can't be an index condition in a generic plan, and would scan the
-- strategy's whole history for a window of five minutes.
select
    status,
    count(*) as count
from (
    select status
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at >= coalesce($2::timestamptz, '-infinity')
        and created_at <= coalesce($3::timestamptz, 'infinity')
    union all
    select status
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at is null
        and $2::timestamptz is null
        and $3::timestamptz is null
) as execution
group by status
order by count(*) desc, status
