-- The runs of the drawn blocks by which of the listed values they have.
-- $1 strategy_id text
-- $2 baseline_since timestamptz
-- $3 until timestamptz
-- $4 measured_case text? always
-- $5 slow_ms double precision
-- $6 places integer[]
-- $7 begins timestamptz[]
-- $8 ends timestamptz[]
-- $9 versions integer[]
-- $10 types text[]
-- $11 realms text[]
-- $12 games text[]
-- $13 tasks text[]
-- $14 users text[]
-- $15 parents text[]
-- $16 cases text[]
-- $17 keyed text[]
-- $18 and on: filters
-- switch slower | awarded | of_case
-- Columns: value text, places integer[], runs bigint[], counted bigint[], weights double precision[], outcomes double precision[]
-- Index: strategy_execution_log_newest
--
-- A row for each combination: the place of its value in each list, or nothing; of `keyed`, objects of one key of
-- `attributes`, a sum of powers of two. The blocks are those of sql/explain.sql.
with span as materialized (
    select
        place,
        begins,
        ends
    from unnest($6::integer[], $7::timestamptz[], $8::timestamptz[]) as given (place, begins, ends)
),
threshold as (  -- if slower
    select $5::double precision as slow_ms  -- if slower
),  -- if slower
cell as (
    select
        place,
        array_position($9::integer[], strategy_version) as version,
        array_position($10::text[], strategy_type) as type,
        array_position($11::text[], realm_id) as realm,
        array_position($12::text[], external_game_id) as game,
        array_position($13::text[], external_task_id) as task,
        array_position($14::text[], external_user_id) as "user",
        array_position($15::text[], parent_strategy_id) as parent,
        array_position($16::text[], case_name) as "case",
        (
            select sum(1::bigint << (number - 1)::integer)
            from unnest($17::text[]) with ordinality as listed (pair, number)
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
    array_agg(place) as places,
    array_agg(runs) as runs,
    array_agg(counted) as counted,
    array_agg(weight) as weights,
    array_agg(outcome) as outcomes
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
