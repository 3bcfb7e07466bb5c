-- The runs of the drawn blocks by which of the listed values they have.
-- $1 strategy_id text
-- $2 baseline_since timestamptz
-- $3 baseline_until timestamptz
-- $4 since timestamptz
-- $5 until timestamptz
-- $6 measured_case text? always
-- $7 slow_ms double precision
-- $8 places text
-- $9 block_us bigint
-- $10 versions text[]
-- $11 types text[]
-- $12 realms text[]
-- $13 games text[]
-- $14 tasks text[]
-- $15 users text[]
-- $16 parents text[]
-- $17 cases text[]
-- $18 keyed text[]
-- $19 and on: filters
-- switch slower | awarded | of_case
-- Columns: value text, places text, runs text, counted text, weights text, outcomes text
-- Index: strategy_execution_log_newest
--
-- A row for each combination: the place of its value in each list, or nothing; of `keyed`, objects of one key of
-- `attributes`, a sum of powers of two. The blocks are those that sql/explain.sql has drawn, by their places.
with span as materialized (
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
cell as (
    select
        place,
        array_position($10::text[], strategy_version::text) as version,
        array_position($11::text[], strategy_type) as type,
        array_position($12::text[], realm_id) as realm,
        array_position($13::text[], external_game_id) as game,
        array_position($14::text[], external_task_id) as task,
        array_position($15::text[], external_user_id) as "user",
        array_position($16::text[], parent_strategy_id) as parent,
        array_position($17::text[], case_name) as "case",
        (
            select sum(1::bigint << (number - 1)::integer)
            from unnest($18::text[]) with ordinality as listed (pair, number)
            where attributes @> pair::jsonb
        ) as held,
        count(*) as runs,
        count(*) filter (where outcome <> 0) as counted,
        sum(weight) as weight,
        sum(weight * outcome) as outcome
    from (
        :explained_runs
    ) as run
    group by
        place,
        version,
        type,
        realm,
        game,
        task,
        "user",
        parent,
        "case",
        held
)
select
    concat_ws(',', coalesce(version, 0), coalesce(type, 0), coalesce(realm, 0), coalesce(game, 0), coalesce(task, 0), coalesce("user", 0), coalesce(parent, 0), coalesce("case", 0), coalesce(held, 0)) as value,
    string_agg(place::text, ',') as places,
    string_agg(runs::text, ',') as runs,
    string_agg(counted::text, ',') as counted,
    string_agg(weight::text, ',') as weights,
    string_agg(outcome::text, ',') as outcomes
from cell
group by
    version,
    type,
    realm,
    game,
    task,
    "user",
    parent,
    "case",
    held
