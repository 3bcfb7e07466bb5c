-- The durations of all runs of a window, and the weight of each.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- Columns: duration_ms double precision, weight double precision
-- Index: strategy_execution_log_newest
select
    duration_ms,
    sum(:weight) as weight
from execlog.strategy_execution_log
where strategy_id = $1::text
    and created_at >= $2::timestamptz  -- if since
    and created_at <= $3::timestamptz  -- if until
group by duration_ms
