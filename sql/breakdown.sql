-- How executions do by the values of one column or attribute: how many ran and failed, how long they took.
-- $1 strategy_id text?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 attribute text? always
-- $6 order text
-- $7 limit bigint
-- $8 and on: filters
-- switch of_all
-- switch failed_of_all
-- switch by_attribute | by_case_name | by_error_code | by_external_game_id | by_external_task_id | by_external_user_id | by_parent_strategy_id | by_realm_id | by_status | by_strategy_type | by_strategy_version | by_trace_id
-- switch details
-- switch slowest_first
-- Columns: value text?, runs bigint, failures bigint, failed_weight double precision, other_weight double precision, weight double precision, weight_squares double precision, duration_ms double precision, points double precision?, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, users bigint?, first_seen timestamptz?, last_seen timestamptz?
-- Index: strategy_execution_log_newest, strategy_execution_log_failures, strategy_execution_log_time, strategy_execution_log_newest_failures, strategy_execution_log_realm_failures, strategy_execution_log_user_hash
--
-- By strategy if no other switch is on. The table is read once. What only adds up is hashed by value, which takes no
-- sorting; percentiles and users are then looked for in the groups that are wanted, or in all if their p99 decides.
-- A plain GROUP BY sorts whole rows for both, which takes longer.
-- Groups are joined by their text: "is not distinct from" would compare each with each.
with execution as (
    select
        strategy_id as value,  -- if not by_attribute, not by_case_name, not by_error_code, not by_external_game_id, not by_external_task_id, not by_external_user_id, not by_parent_strategy_id, not by_realm_id, not by_status, not by_strategy_type, not by_strategy_version, not by_trace_id
        (attributes ->> $5::text) collate "C" as value,  -- if by_attribute
        case_name as value,  -- if by_case_name
        error_code as value,  -- if by_error_code
        external_game_id as value,  -- if by_external_game_id
        external_task_id as value,  -- if by_external_task_id
        external_user_id as value,  -- if by_external_user_id
        parent_strategy_id as value,  -- if by_parent_strategy_id
        realm_id as value,  -- if by_realm_id
        status as value,  -- if by_status
        strategy_type as value,  -- if by_strategy_type
        strategy_version as value,  -- if by_strategy_version
        trace_id as value,  -- if by_trace_id
        external_user_id as user_id,  -- if details, not by_external_user_id
        status <> 'ok' as is_failed,
        :is_error as is_error,
        duration_ms,
        points,
        created_at,
        :weight as weight
    :filtered
),
counted as (
    select
        value,
        count(*) as runs,
        count(*) filter (where is_failed) as failures,
        coalesce(sum(weight) filter (where is_error), 0) as failed_weight,
        coalesce(sum(weight) filter (where is_failed and not is_error), 0) as other_weight,
        sum(weight) as weight,
        sum(weight * weight) as weight_squares,
        max(weight) as weight_max,
        sum(duration_ms * case when duration_ms < 1e290 then weight else 1 end) as duration_ms,
        sum(points * case when abs(points) < 1e290 then weight else 1 end) as points,
        min(created_at) as first_seen,
        max(created_at) as last_seen
    from execution
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
        weight_max,
        duration_ms,
        points,
        first_seen,
        last_seen,
        case $6::text
            when 'failures' then failures
            when 'error_rate' then failed_weight / weight
            when 'runs' then runs
        end as measure
    from counted
    order by measure desc, value  -- if not slowest_first
    limit $7::bigint  -- if not slowest_first
),
:breakdown_details,  -- if details
answer as (
    select
        wanted.value,
        wanted.runs,
        wanted.failures,
        wanted.failed_weight,
        wanted.other_weight,
        wanted.weight,
        wanted.weight_squares,
        wanted.duration_ms,
        wanted.points,
        detail.values_ms,  -- if details
        detail.users,  -- if details, not by_external_user_id
        case when wanted.value is null then 0::bigint else 1::bigint end as users,  -- if details, by_external_user_id
        null::double precision[] as values_ms,  -- if not details
        null::bigint as users,  -- if not details
        wanted.first_seen,
        wanted.last_seen,
        wanted.measure
    from wanted
    left join detail  -- if details
        on (detail.value is null) = (wanted.value is null)  -- if details
        and coalesce(detail.value::text, '') = coalesce(wanted.value::text, '')  -- if details
)
select
    value::text as value,
    runs,
    failures,
    failed_weight,
    other_weight,
    weight,
    weight_squares,
    duration_ms,
    points,
    values_ms[1] as p50_ms,
    values_ms[2] as p95_ms,
    values_ms[3] as p99_ms,
    users,
    first_seen,
    last_seen
from answer
order by
    values_ms[3] desc,  -- if slowest_first
    measure desc,  -- if not slowest_first
    answer.value
limit $7::bigint
