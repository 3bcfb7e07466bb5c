-- The 95th percentile of the durations of the window before, weighed.
-- $1 strategy_id text
-- $2 baseline_since timestamptz
-- $3 baseline_until timestamptz
-- $4 and on: filters
threshold as materialized (
    select (
        with run as materialized (
            select
                duration_ms,
                :weight as weight
            from execlog.strategy_execution_log
            where strategy_id = $1::text
                and created_at >= $2::timestamptz
                and created_at <= $3::timestamptz
                :filters
        ),
        asked as (
            select
                1 as number,
                0.95::double precision as fraction
        ),
        :weighed_values(not by_strategy)
    )[1] as slow_ms
)
