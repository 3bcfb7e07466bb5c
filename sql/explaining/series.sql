-- The runs of both windows by steps of time, for an explanation that reads files too.
-- $1 strategy_id text
-- $2 baseline_since timestamptz
-- $3 baseline_until timestamptz
-- $4 since timestamptz
-- $5 until timestamptz
-- $6 measured_case text? always
-- $7 slow_ms double precision
-- $8 step_us bigint
-- $9 and on: filters
-- switch slower | awarded | of_case
-- Columns: place integer, runs bigint, counted bigint, failed bigint, failed_of_case bigint, weight double precision, outcome double precision
-- Index: strategy_execution_log_newest
with span as materialized (
    select
        place,
        begins,
        ends
    from (values (0, $2::timestamptz, $3::timestamptz), (1000000, $4::timestamptz, $5::timestamptz)) as given (place, begins, ends)
),
threshold as (  -- if slower
    select $7::double precision as slow_ms  -- if slower
),  -- if slower
:explained_series
select
    place + step as place,
    runs,
    counted,
    failed,
    failed_of_case,
    weight,
    outcome
from series
order by place + step
limit 100000
