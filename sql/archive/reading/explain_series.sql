-- The runs of files of two windows by steps of time.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 baseline_since timestamptz
-- $11 baseline_until timestamptz
-- $12 window_since timestamptz
-- $13 measured_case text? always
-- $14 slow_ms double precision
-- $15 step_us bigint
-- $16 and on: filters
-- switch slower | awarded | of_case
-- Columns: place bigint, runs bigint, counted bigint, failed bigint, failed_of_case bigint, weight double precision, outcome double precision
-- Index: none
select
    side + after_us // $15::bigint as place,
    count(*) as runs,
    count(*) filter (where outcome <> 0) as counted,
    count(*) filter (where status <> 'ok') as failed,
    count(*) filter (where status <> 'ok' and case_name is not null) as failed_of_case,
    sum(weight) as weight,
    sum(weight * outcome) as outcome
from (
    :explained
) as run
group by 1
order by 1
