-- Percentiles of the duration over every execution of the window; each row weighs 1/sample_rate.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 fractions text
-- Columns: value_ms double precision?, sample_size bigint
-- Index: strategy_execution_log_newest
--
-- If each row stands for itself, all percentiles come from one sort, of the rows with a rate of 1. Otherwise the
-- rows are read again and their weights summed up in order: about 1.1 and 4.5 times the bare percentiles.
-- The fractions are sent as the text of an array and the values are returned as rows: for an array type
-- the driver first queries the catalogue, a second round trip on each new connection.
with execution as not materialized (
    select
        duration_ms,
        sample_rate
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at >= $2::timestamptz  -- if since
        and created_at <= $3::timestamptz  -- if until
),
total as materialized (
    select
        count(*) as sample_size,
        coalesce(min(sample_rate), 1) = 1 as is_whole,
        percentile_cont($4::text::double precision[]) within group (order by duration_ms) filter (where sample_rate = 1) as values_ms
    from execution
),
asked as (
    select
        number,
        fraction
    from unnest($4::text::double precision[]) with ordinality as asked (fraction, number)
),
run as not materialized (
    select
        duration_ms,
        :weight as weight
    from execution
    where not (select is_whole from total)
)
select
    value_ms,
    sample_size
from total
left join lateral (
    select values_ms where is_whole
    union all
    (
        with
        :weighed_values(not by_strategy)
    )
) as percentile on true
left join lateral unnest(percentile.values_ms) with ordinality as value (value_ms, place) on true
order by place
