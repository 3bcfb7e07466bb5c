-- The runs of each `span` by steps of time.
-- $1 strategy_id text
-- $2 baseline_since timestamptz
-- $3 until timestamptz
-- $4 measured_case text? always
-- $5 step_us bigint
-- $6 and on: filters
-- switch slower | awarded | of_case
series as materialized (
    select
        place,
        floor(date_part('epoch', created_at - begins) * 1000000 / $5::bigint)::integer as step,
        count(*) as runs,
        count(*) filter (where outcome <> 0) as counted,
        count(*) filter (where status <> 'ok') as failed,
        count(*) filter (where status <> 'ok' and case_name is not null) as failed_of_case,
        sum(weight) as weight,
        sum(weight * outcome) as outcome
    from (
        :explained_runs
    ) as run
    group by
        place,
        step
)
