-- The runs of files of each value of each attribute, by the drawn blocks of two windows: the sums of each as lists.
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
-- $17 most bigint
-- $18 most_held bigint
-- $19 and on: filters
-- switch slower | awarded | of_case
-- switch of_users
-- Columns: kind text, value text?, places bigint[], runs bigint[], counted bigint[], weights double precision[], outcomes double precision[]
-- Index: none
--
-- As `explaining/cells.sql` of the log. Attributes are the text of a flat object, as Postgres prints it: a pair is a key, a
-- colon and a value.
with run as materialized (
    select
        side + after_us // $16::bigint as place,
        strategy_version,
        strategy_type,
        realm_id,
        external_game_id,
        external_task_id,
        external_user_id,
        parent_strategy_id,
        case_name,
        status,
        error_code,
        nodes_bits,
        attributes,
        weight,
        outcome
    from (
        :explained
    ) as explained
    where list_contains(string_split($15::text, ',')::bigint[], side + after_us // $16::bigint)
),
pair as (
    select
        place,
        unnest(regexp_extract_all(attributes, '"(?:[^"\\]|\\.)*": (?:"(?:[^"\\]|\\.)*"|[^,}]+)')) as held,
        weight,
        outcome
    from run
    where attributes is not null
),
cell as (
    select
        place,
        case
            when grouping(strategy_version) = 0 then 'strategy_version'
            when grouping(strategy_type) = 0 then 'strategy_type'
            when grouping(realm_id) = 0 then 'realm_id'
            when grouping(external_game_id) = 0 then 'external_game_id'
            when grouping(external_task_id) = 0 then 'external_task_id'
            when grouping(external_user_id) = 0 then 'external_user_id'  -- if of_users
            when grouping(parent_strategy_id) = 0 then 'parent_strategy_id'
            when grouping(case_name) = 0 then case when case_name is null then 'no_case' else 'case_name' end
            else 'all'
        end as kind,
        coalesce(
            strategy_version,
            strategy_type,
            realm_id,
            external_game_id,
            external_task_id,
            external_user_id,  -- if of_users
            parent_strategy_id,
            case_name
        ) as value,
        count(*) as runs,
        count(*) filter (where outcome <> 0) as counted,
        sum(weight) as weight,
        sum(weight * outcome) as outcome
    from run
    group by grouping sets (
        (place),
        (place, strategy_version),
        (place, strategy_type),
        (place, realm_id),
        (place, external_game_id),
        (place, external_task_id),
        (place, external_user_id),  -- if of_users
        (place, parent_strategy_id),
        (place, case_name)
    )
    union all
    select
        place,
        case
            when grouping(status) = 0 then 'status'
            when grouping(error_code) = 0 then 'error_code'
            else 'nodes'
        end,
        coalesce(status, error_code, nodes_bits),
        count(*),
        count(*),
        sum(weight),
        sum(weight * outcome)
    from run
    where outcome <> 0
    group by grouping sets (
        (place, status),
        (place, error_code),
        (place, nodes_bits)
    )
    union all
    select
        place,
        'attributes.' || regexp_extract(held, '^"((?:[^"\\]|\\.)*)": ', 1) as kind,
        regexp_extract(held, '^"(?:[^"\\]|\\.)*": (.*)$', 1) as value,
        count(*),
        count(*) filter (where outcome <> 0),
        sum(weight),
        sum(weight * outcome)
    from pair
    group by 1, 2, 3
),
packed as (
    select
        kind,
        value,
        list(place) as places,
        list(runs) as runs,
        list(counted) as counted,
        list(weight) as weights,
        list(outcome) as outcomes,
        row_number() over (partition by kind order by sum(runs) desc, value) as rank
    from cell
    where value is not null or kind in ('all', 'no_case')
    group by
        kind,
        value
)
select
    kind,
    value,
    places,
    runs,
    counted,
    weights,
    outcomes
from packed
where rank <= case when kind like 'attributes.%' then $18::bigint else $17::bigint end
