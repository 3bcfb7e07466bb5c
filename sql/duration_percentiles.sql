-- Percentiles of the duration over every execution of the window, all of them from one sort.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 fractions text
-- Columns: value_ms double precision?, sample_size bigint
-- Index: strategy_execution_log_newest
--
-- The fractions are sent as the text of an array and the values are returned as rows: for an array type
-- the driver first queries the catalogue, a second round trip on each new connection.
select
    value_ms,
    sample_size
from (
    select
        percentile_cont($4::text::double precision[]) within group (order by duration_ms) as values_ms,
        count(*) as sample_size
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at >= $2::timestamptz  -- if since
        and created_at <= $3::timestamptz  -- if until
) as percentile
left join lateral unnest(values_ms) with ordinality as value (value_ms, place) on true
order by place
