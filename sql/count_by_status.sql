-- How many executions ended how. One row a status, so the list needs no limit.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- Columns: status text, count bigint
-- Index: strategy_execution_log_newest
--
-- Rows without a time are in no bounded window: the condition on its end excludes them.
select
    status,
    count(*) as count
from execlog.strategy_execution_log
where strategy_id = $1::text
    and created_at >= $2::timestamptz  -- if since
    and created_at <= $3::timestamptz  -- if until
group by status
order by count(*) desc, status
