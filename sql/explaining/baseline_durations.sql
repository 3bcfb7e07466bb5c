-- The durations of the runs of a window that pass the filters, and the weight of each.
-- $1 strategy_id text
-- $2 since timestamptz
-- $3 until timestamptz
-- $4 and on: filters
-- Columns: duration_ms double precision, weight double precision
-- Index: strategy_execution_log_newest
select
    duration_ms,
    sum(:weight) as weight
from execlog.strategy_execution_log
where strategy_id = $1::text
    and created_at >= $2::timestamptz
    and created_at <= $3::timestamptz
    :filters
group by duration_ms
