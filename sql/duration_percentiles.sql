-- Percentiles of the duration over every execution of the window, all of them from one sort.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 fractions text
-- Columns: value_ms double precision?, sample_size bigint
-- Index: strategy_execution_log_newest
--
-- The fractions come as the text of an array and the values go as rows: for an array type of its own
-- the driver asks the catalogue first, a second round trip on each new connection.
select
    value_ms,
    sample_size
from (
    select
        percentile_cont($4::text::double precision[]) within group (order by duration_ms) as values_ms,
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
) as percentile
left join lateral unnest(values_ms) with ordinality as value (value_ms, place) on true
order by place
