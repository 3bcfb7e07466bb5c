-- Percentiles of the duration over every execution of the window, all of them from one sort.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 fractions double precision[]
-- Columns: values_ms double precision[]?, sample_size bigint
-- Index: strategy_execution_log_newest
select
    percentile_cont($4::double precision[]) within group (order by duration_ms) as values_ms,
    count(*) as sample_size
from (
    select duration_ms
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at >= coalesce($2::timestamptz, '-infinity')
        and created_at <= coalesce($3::timestamptz, 'infinity')
    union all
    select duration_ms
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at is null
        and $2::timestamptz is null
        and $3::timestamptz is null
) as execution
