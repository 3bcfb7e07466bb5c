-- The durations of the runs that pass the filters, and the weight and the number of runs of each; up to a limit.
-- $1 strategy_id text?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 limit bigint
-- $6 and on: filters
-- switch of_all
-- switch failed_of_all
-- Columns: duration_ms text, weight text, durations bigint, runs bigint
-- Index: strategy_execution_log_newest
--
-- A row has the columns of 5,000 durations, as lists in JSON: `runs.sql` says why.
with run as (
    select
        duration_ms,
        sum(:weight) as weight,
        count(*) as runs
    :filtered
    group by duration_ms
    limit $5::bigint
),
numbered as (
    select
        duration_ms,
        weight,
        runs,
        row_number() over () as number
    from run
)
select
    json_agg(duration_ms)::text as duration_ms,
    json_agg(weight)::text as weight,
    count(*) as durations,
    sum(runs)::bigint as runs
from numbered
group by number / 5000
