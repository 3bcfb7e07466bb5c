-- The runs of each value of each attribute by the drawn blocks, for an explanation that reads files too.
-- $1 strategy_id text
-- $2 baseline_since timestamptz
-- $3 baseline_until timestamptz
-- $4 since timestamptz
-- $5 until timestamptz
-- $6 measured_case text? always
-- $7 slow_ms double precision
-- $8 places text
-- $9 block_us bigint
-- $10 most bigint
-- $11 most_held bigint
-- $12 and on: filters
-- switch slower | awarded | of_case
-- switch of_users
-- Columns: kind text, value text?, places text, runs text, counted text, weights text, outcomes text
-- Index: strategy_execution_log_newest
--
-- As sql/explain.sql, of blocks that were drawn by the runs of the log and of files: see there.
with drawn as materialized (
    select
        place,
        begins + place % 1000000 * $9::bigint / 1000000 * interval '1 second' as begins,
        least(ends, begins + (place % 1000000 + 1) * $9::bigint / 1000000 * interval '1 second' - interval '1 microsecond') as ends
    from unnest(string_to_array($8::text, ',')::integer[]) as drawn (place)
    join (values (0, $2::timestamptz, $3::timestamptz), (1, $4::timestamptz, $5::timestamptz)) as given (side, begins, ends)
        on given.side = place / 1000000
),
threshold as (  -- if slower
    select $7::double precision as slow_ms  -- if slower
),  -- if slower
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
where rank <= case when kind like 'attributes.%' then $11::bigint else $10::bigint end
