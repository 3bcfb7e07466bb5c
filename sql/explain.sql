-- What changed between two windows of a strategy: runs and outcomes of each value, by whole blocks of time.
-- $1 strategy_id text
-- $2 baseline_since timestamptz
-- $3 baseline_until timestamptz
-- $4 since timestamptz
-- $5 until timestamptz
-- $6 measured_case text? always
-- $7 step_us bigint
-- $8 steps integer
-- $9 narrow_steps integer
-- $10 most_runs bigint
-- $11 drawn_runs bigint
-- $12 least_blocks integer
-- $13 and on: filters
-- switch slower | awarded | of_case
-- switch of_users
-- Columns: kind text, value text?, places text, runs text, counted text?, weights text?, outcomes text?
-- Index: strategy_execution_log_newest
--
-- One row for each value of each attribute, and these about the whole: `series` by step (a minute or more, for "since
-- when"), `all` by block, `failed` (rows that failed, and of these the rows with a case: in `runs` and `counted` by
-- window), `stored` (all rows by window, and what `slower` compares with, in `weights`). The place of a step or block of
-- the window after is 1,000,000 more. Lists are texts: for the type of an array the driver would ask the catalogue.
-- Up to `most_runs` runs, blocks have `steps` steps and all are read. Of more, blocks of `narrow_steps` are drawn whole,
-- up to `drawn_runs` and at least `least_blocks` of each window, in the order of a hash of their begin: each time the same.
-- Of a column the 200 values with the most runs are answered; of a key of `attributes` all, or none if it has more. Of
-- statuses, codes and nodes only the runs with an outcome are.
with span as materialized (
    select
        place,
        begins,
        ends
    from (values (0, $2::timestamptz, $3::timestamptz), (1000000, $4::timestamptz, $5::timestamptz)) as given (place, begins, ends)
),
:explained_threshold,  -- if slower
:explained_series,
block as materialized (
    select
        place,
        step / width as number,
        width,
        sum(series.runs) as runs
    from series
    cross join (
        select case when sum(runs) > $10::bigint then $9::integer else $8::integer end as width
        from series
    ) as size
    group by
        place,
        number,
        width
),
ordered as (
    select
        block.place,
        number,
        width,
        begins + (number * width)::bigint * $7::bigint / 1000000 * interval '1 second' as block_begins,
        least(ends, begins + ((number + 1) * width)::bigint * $7::bigint / 1000000 * interval '1 second' - interval '1 microsecond') as block_ends,
        sum(runs) over (partition by block.place) as of_window,
        sum(runs) over () as of_both,
        sum(runs) over drawing as upto,
        row_number() over drawing as rank
    from block
    join span on span.place = block.place
    window drawing as (
        partition by block.place
        order by hashint8extended((number * width)::bigint * $7::bigint + (date_part('epoch', begins))::bigint, 0), number
    )
),
drawn as materialized (
    select
        place + number as place,
        block_begins as begins,
        block_ends as ends
    from ordered
    where of_both <= $10::bigint
        or rank <= $12::integer
        or upto <= greatest($11::bigint / 2, $11::bigint - (of_both - of_window))
),
:explained_cells
select
    kind,
    value,
    places,
    runs,
    counted,
    weights,
    outcomes
from packed
where rank <= 200
    and (of_kind <= 200 or kind not like 'attributes.%')
union all
select
    'series',
    null,
    string_agg((place + step)::text, ','),
    string_agg(runs::text, ','),
    string_agg(counted::text, ','),
    string_agg(weight::text, ','),
    string_agg(outcome::text, ',')
from series
union all
select
    'failed',
    null,
    string_agg(place::text, ','),
    string_agg(failed::text, ','),
    string_agg(failed_of_case::text, ','),
    null,
    null
from (
    select
        place,
        sum(failed)::bigint as failed,
        sum(failed_of_case)::bigint as failed_of_case
    from series
    group by place
) as window_of_both
union all
select
    'stored',
    null,
    string_agg(place::text, ','),
    string_agg(runs::text, ','),
    null,
    '0',  -- if not slower
    (select slow_ms::text from threshold),  -- if slower
    null
from (
    select
        place,
        sum(runs)::bigint as runs
    from series
    group by place
) as window_of_both
