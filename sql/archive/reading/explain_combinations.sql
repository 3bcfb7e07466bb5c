-- The runs of files in the drawn blocks by which of the listed values they have: the sums of each as lists.
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
-- $15 places text
-- $16 block_us bigint
-- $17 versions text[]
-- $18 types text[]
-- $19 realms text[]
-- $20 games text[]
-- $21 tasks text[]
-- $22 users text[]
-- $23 parents text[]
-- $24 cases text[]
-- $25 keyed text[]
-- $26 and on: filters
-- switch slower | awarded | of_case
-- Columns: value text, places bigint[], runs bigint[], counted bigint[], weights double precision[], outcomes double precision[]
-- Index: none
--
-- As `explaining/combinations.sql` of the log; of `keyed`, each is a pattern that finds an attribute.
with run as (
    select
        side + after_us // $16::bigint as place,
        concat_ws(
            ',',
            coalesce(list_position($17::text[], strategy_version), 0),
            coalesce(list_position($18::text[], strategy_type), 0),
            coalesce(list_position($19::text[], realm_id), 0),
            coalesce(list_position($20::text[], external_game_id), 0),
            coalesce(list_position($21::text[], external_task_id), 0),
            coalesce(list_position($22::text[], external_user_id), 0),
            coalesce(list_position($23::text[], parent_strategy_id), 0),
            coalesce(list_position($24::text[], case_name), 0),
            coalesce(list_sum(list_transform($25::text[], lambda pattern, number: case when regexp_matches(attributes, pattern) then 1::bigint << (number - 1)::integer else 0 end)), 0)
        ) as value,
        weight,
        outcome
    from (
        :explained
    ) as explained
    where list_contains(string_split($15::text, ',')::bigint[], side + after_us // $16::bigint)
),
cell as (
    select
        value,
        place,
        count(*) as runs,
        count(*) filter (where outcome <> 0) as counted,
        sum(weight) as weight,
        sum(weight * outcome) as outcome
    from run
    group by
        value,
        place
)
select
    value,
    list(place) as places,
    list(runs) as runs,
    list(counted) as counted,
    list(weight) as weights,
    list(outcome) as outcomes
from cell
group by value
order by value
