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
-- $11 durations double precision[]
-- $12 weights double precision[]
-- $13 and on: filters
-- Columns: value_ms double precision, runs bigint
-- Index: none
--
-- The same positions as in `part/weighed_values.sql` of the log. Runs that took equally long are one: the value does not
-- change between them.
with run as (
    select
        duration_ms,
        1 / greatest(sample_rate, 1e-9) as weight,
        1 as runs
    :runs
    union all
    select
        unnest($11::double precision[]),
        unnest($12::double precision[]),
        0
),
value as (
    select
        duration_ms,
        sum(weight) as weight,
        sum(runs) as runs
    from run
    group by duration_ms
),
ordered as (
    select
        duration_ms,
        lag(duration_ms) over (order by duration_ms) as before_ms,
        sum(weight) over (order by duration_ms rows unbounded preceding) - weight - 1 as before,
        sum(weight) over (order by duration_ms rows unbounded preceding) - 1 as upto
    from value
),
asked as (
    select
        unnest($10::text::double precision[]) as fraction,
        generate_subscripts($10::text::double precision[], 1) as number
),
placed as (
    select
        number,
        fraction * (select max(upto) from ordered) as place
    from asked
)
select
    min(case when place - before >= 1 then duration_ms when place > before then before_ms + (place - before) * (duration_ms - before_ms) else before_ms end) as value_ms,
    any_value((select sum(runs) from value))::bigint as runs
from placed
join ordered on upto >= place
group by number
order by number
