-- How runs of files and others that are given do by the values of one column or attribute: as `breakdown.sql` of the log.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 given_value text
-- $11 given_user_id text
-- $12 given_seen text
-- $13 given_status text
-- $14 given_duration_ms text
-- $15 given_points text
-- $16 given_weight text
-- $17 attribute_pattern text? always
-- $18 order text
-- $19 limit bigint
-- $20 and on: filters
-- switch by_attribute | by_case_name | by_error_code | by_external_game_id | by_external_task_id | by_external_user_id | by_parent_strategy_id | by_realm_id | by_status | by_strategy_type | by_strategy_version | by_trace_id
-- switch details
-- switch slowest_first
-- Columns: value text?, runs bigint, failures bigint, failed_weight double precision, other_weight double precision, weight double precision, weight_squares double precision, duration_ms double precision, points double precision?, values_ms double precision[]?, users bigint?, first_seen bigint?, last_seen bigint?
-- Index: none
--
-- By strategy if no other switch is on. An attribute is found in the text of its object; a text among them is written as JSON. Times are in microseconds.
with given as materialized (
    select
        unnest(from_json($10::text, '["VARCHAR"]')) as value,
        unnest(from_json($11::text, '["VARCHAR"]')) as user_id,
        unnest(from_json($12::text, '["BIGINT"]')) as seen,
        unnest(from_json($13::text, '["VARCHAR"]')) as status,
        unnest(from_json($14::text, '["DOUBLE"]')) as duration_ms,
        unnest(from_json($15::text, '["DOUBLE"]')) as points,
        unnest(from_json($16::text, '["DOUBLE"]')) as weight
),
run as not materialized (
    select
        case when starts_with(regexp_extract(attributes, $17::text, 1), '"') then try_cast(regexp_extract(attributes, $17::text, 1) as json) ->> '$' else nullif(nullif(regexp_extract(attributes, $17::text, 1), ''), 'null') end as value,  -- if by_attribute
        case_name as value,  -- if by_case_name
        error_code as value,  -- if by_error_code
        external_game_id as value,  -- if by_external_game_id
        external_task_id as value,  -- if by_external_task_id
        external_user_id as value,  -- if by_external_user_id
        parent_strategy_id as value,  -- if by_parent_strategy_id
        realm_id as value,  -- if by_realm_id
        status as value,  -- if by_status
        strategy_id as value,  -- if not by_attribute, not by_case_name, not by_error_code, not by_external_game_id, not by_external_task_id, not by_external_user_id, not by_parent_strategy_id, not by_realm_id, not by_status, not by_strategy_type, not by_strategy_version, not by_trace_id
        strategy_type as value,  -- if by_strategy_type
        strategy_version::text as value,  -- if by_strategy_version
        trace_id::text as value,  -- if by_trace_id
        external_user_id as user_id,
        epoch_us(created_at) as seen,
        status,
        duration_ms,
        points,
        1 / greatest(sample_rate, 1e-9) as weight
    :runs
    union all
    select
        value,
        user_id,
        seen,
        status,
        duration_ms,
        points,
        weight
    from given
),
counted as materialized (
    select
        value,
        count(*) as runs,
        countif(status <> 'ok') as failures,
        coalesce(sum(weight) filter (where status in ('error', 'timeout', 'limit')), 0) as failed_weight,
        coalesce(sum(weight) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0) as other_weight,
        sum(weight) as weight,
        sum(weight * weight) as weight_squares,
        max(weight) = 1 as is_whole,
        sum(duration_ms * case when duration_ms < 1e290 then weight else 1 end) as duration_ms,
        sum(points * case when abs(points) < 1e290 then weight else 1 end) as points,
        min(seen) as first_seen,
        max(seen) as last_seen
    from run
    group by value
),
wanted as materialized (
    select
        value,
        runs,
        failures,
        failed_weight,
        other_weight,
        weight,
        weight_squares,
        is_whole,
        duration_ms,
        points,
        first_seen,
        last_seen,
        case $18::text
            when 'failures' then failures
            when 'error_rate' then failed_weight / weight
            when 'runs' then runs
        end as measure,
        value as place,  -- if not by_strategy_version
        value::integer as place  -- if by_strategy_version
    from counted
    order by measure desc, place nulls last  -- if not slowest_first
    limit $19::bigint  -- if not slowest_first
),
detail as materialized (  -- if details
    select  -- if details
        run.value,  -- if details
        quantile_cont(run.duration_ms, [0.5, 0.95, 0.99]) filter (where is_whole) as values_ms,  -- if details
        count(distinct user_id) as users  -- if details
    from run  -- if details
    join wanted on run.value is not distinct from wanted.value  -- if details
    group by run.value  -- if details
),  -- if details
weighed as materialized (  -- if details
    with weighing as not materialized (  -- if details
        select  -- if details
            run.value as part,  -- if details
            run.duration_ms,  -- if details
            run.weight  -- if details
        from run  -- if details
        join wanted on run.value is not distinct from wanted.value  -- if details
        where not is_whole  -- if details
    ),  -- if details
    asked as (  -- if details
        select  -- if details
            value as part,  -- if details
            unnest([1, 2, 3]) as number,  -- if details
            unnest([0.5, 0.95, 0.99]) * (weight - 1) as place  -- if details
        from wanted  -- if details
        where not is_whole  -- if details
    ),  -- if details
    :weighed_values  -- if details
),  -- if details
answer as (
    select
        wanted.value,
        runs,
        failures,
        failed_weight,
        other_weight,
        weight,
        weight_squares,
        duration_ms,
        points,
        coalesce(detail.values_ms, weighed.values_ms) as values_ms,  -- if details
        users,  -- if details
        null::double precision[] as values_ms,  -- if not details
        null::bigint as users,  -- if not details
        first_seen,
        last_seen,
        measure,
        place
    from wanted
    left join detail on detail.value is not distinct from wanted.value  -- if details
    left join weighed on weighed.part is not distinct from wanted.value  -- if details
)
select
    value,
    runs,
    failures,
    failed_weight,
    other_weight,
    weight,
    weight_squares,
    duration_ms,
    points,
    values_ms,
    users,
    first_seen,
    last_seen
from answer
order by
    values_ms[3] desc,  -- if slowest_first
    measure desc,  -- if not slowest_first
    place nulls last
limit $19::bigint
