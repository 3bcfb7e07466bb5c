-- The runs of the log that pass the filters, as far as numbers go; only one if there are more than a limit.
-- $1 strategy_id text?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 attribute text? always
-- $6 most bigint
-- $7 and on: filters
-- switch of_all
-- switch failed_of_all
-- switch by_attribute | by_case_name | by_error_code | by_external_game_id | by_external_task_id | by_external_user_id | by_parent_strategy_id | by_realm_id | by_status | by_strategy_id | by_strategy_type | by_strategy_version | by_trace_id
-- Columns: runs bigint, value text, user_id text, seen text, status text, error_code text, case_name text, duration_ms text, nodes_executed text, points text, weight text
-- Index: strategy_execution_log_newest
--
-- For a breakdown, the value of each and its user, or else its code, case and nodes. A row has the columns of 5,000 runs, as
-- lists in JSON: of a row a run the driver would make so many objects that the event loop stands still. Times are in
-- microseconds, infinite ones are the ends of the calendar, as the driver has them.
with size as materialized (
    select count(*) as runs
    from (
        select true as passes
        :filtered
        limit $6::bigint + 1
    ) as found
),
run as (
    select
        (attributes ->> $5::text) as value,  -- if by_attribute
        case_name as value,  -- if by_case_name
        error_code as value,  -- if by_error_code
        external_game_id as value,  -- if by_external_game_id
        external_task_id as value,  -- if by_external_task_id
        external_user_id as value,  -- if by_external_user_id
        parent_strategy_id as value,  -- if by_parent_strategy_id
        realm_id as value,  -- if by_realm_id
        status as value,  -- if by_status
        strategy_id as value,  -- if by_strategy_id
        strategy_type as value,  -- if by_strategy_type
        strategy_version::text as value,  -- if by_strategy_version
        trace_id::text as value,  -- if by_trace_id
        null::text as value,  -- if not by_attribute, not by_case_name, not by_error_code, not by_external_game_id, not by_external_task_id, not by_external_user_id, not by_parent_strategy_id, not by_realm_id, not by_status, not by_strategy_id, not by_strategy_type, not by_strategy_version, not by_trace_id
        external_user_id as user_id,
        case
            when created_at = 'infinity' then 253402300799999999
            when created_at = '-infinity' then -62135596800000000
            else (extract(epoch from created_at) * 1000000)::bigint
        end as seen,
        status,
        error_code,
        case_name,
        duration_ms,
        nodes_executed,
        points,
        :weight as weight
    :filtered
    limit (select case when runs > $6::bigint then 1 else runs end from size)
),
numbered as (
    select
        value,
        user_id,
        seen,
        status,
        error_code,
        case_name,
        duration_ms,
        nodes_executed,
        points,
        weight,
        row_number() over () as number
    from run
)
select
    (select runs from size) as runs,
    json_agg(value)::text as value,
    json_agg(user_id)::text as user_id,
    json_agg(seen)::text as seen,
    json_agg(status)::text as status,
    json_agg(error_code)::text as error_code,
    json_agg(case_name)::text as case_name,
    json_agg(duration_ms)::text as duration_ms,
    json_agg(nodes_executed)::text as nodes_executed,
    json_agg(points)::text as points,
    json_agg(weight)::text as weight
from numbered
group by number / 5000
