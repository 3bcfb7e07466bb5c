-- The runs of each value of each attribute, by the blocks of `drawn` (place, begins, ends): the sums of each as lists.
-- $1 strategy_id text
-- $2 baseline_since timestamptz
-- $3 until timestamptz
-- $4 measured_case text? always
-- $5 and on: filters
-- switch slower | awarded | of_case
-- switch of_users
run as materialized (
    select
        place,
        strategy_version::text as strategy_version,
        strategy_type,
        realm_id,
        external_game_id,
        external_task_id,
        external_user_id,  -- if of_users
        parent_strategy_id,
        case_name,
        status,
        error_code,
        length(ltrim(nodes_executed::bit(32)::text, '0')) as nodes_bits,
        attributes,
        weight,
        outcome
    from (
        with span as (
            select
                place,
                begins,
                ends
            from drawn
        )
        :explained_runs
    ) as run
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
        coalesce(status, error_code, nodes_bits::text),
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
        'attributes.' || key,
        held.value::text,
        count(*),
        count(*) filter (where outcome <> 0),
        sum(weight),
        sum(weight * outcome)
    from run
    cross join lateral pg_catalog.jsonb_each(attributes) as held (key, value)
    group by
        place,
        key,
        held.value
),
packed as (
    select
        kind,
        value,
        string_agg(place::text, ',') as places,
        string_agg(runs::text, ',') as runs,
        string_agg(counted::text, ',') as counted,
        string_agg(weight::text, ',') as weights,
        string_agg(outcome::text, ',') as outcomes,
        row_number() over (partition by kind order by sum(runs) desc, value) as rank,
        count(*) over (partition by kind) as of_kind
    from cell
    where value is not null or kind in ('all', 'no_case')
    group by
        kind,
        value
)
