-- Percentiles of the duration of runs of files and of others that are given; each weighs 1/sample_rate.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 fractions text
-- $11 durations text
-- $12 weights text
-- $13 and on: filters
-- Columns: value_ms double precision, runs bigint
-- Index: none
with given as materialized (
    select
        unnest(from_json($11::text, '["DOUBLE"]')) as duration_ms,
        unnest(from_json($12::text, '["DOUBLE"]')) as weight
),
weighing as not materialized (
    select
        '' as part,
        duration_ms,
        1 / greatest(sample_rate, 1e-9) as weight,
        1 as runs
    :runs
    union all
    select
        '',
        duration_ms,
        weight,
        0
    from given
),
total as materialized (
    select
        sum(weight) as weight,
        sum(runs)::bigint as runs
    from weighing
),
asked as (
    select
        '' as part,
        generate_subscripts($10::text::double precision[], 1) as number,
        unnest($10::text::double precision[]) * (weight - 1) as place
    from total
    where weight > 0
),
weighed as (
    with
    :weighed_values
)
select
    unnest(values_ms) as value_ms,
    runs
from weighed
cross join total
