-- The runs of a strategy in each `span` (place, begins, ends; both ends are included), their weight and their outcome.
-- $1 strategy_id text
-- $2 baseline_since timestamptz
-- $3 until timestamptz
-- $4 measured_case text? always
-- $5 and on: filters
-- switch slower | awarded | of_case
--
-- The outcome is what an error rate counts, or whether the run took longer than `threshold` (slow_ms), or its points, or
-- whether that case fired; points of 1e290 or more weigh 1, as on cards. OFFSET 0 keeps the planner from reading all of
-- both windows for each span.
select
    span.place,
    span.begins,
    stored.*,
    :weight as weight,
    case when duration_ms > (select slow_ms from threshold) then 1.0::double precision else 0.0 end as outcome  -- if slower
    coalesce(points, 0) / case when abs(points) >= 1e290 then :weight else 1 end as outcome  -- if awarded
    case when case_name = $4::text then 1.0::double precision else 0.0 end as outcome  -- if of_case
    case when :is_error then 1.0::double precision else 0.0 end as outcome  -- if not slower, not awarded, not of_case
from span
cross join lateral (
    select
        created_at,
        strategy_version,
        strategy_type,
        realm_id,
        external_game_id,
        external_task_id,
        external_user_id,
        parent_strategy_id,
        status,
        error_code,
        case_name,
        points,
        duration_ms,
        nodes_executed,
        sample_rate,
        attributes
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        -- For the planner: the partitions are known from the start.
        and created_at >= $2::timestamptz
        and created_at <= $3::timestamptz
        and created_at >= span.begins
        and created_at <= span.ends
        :filters
    offset 0
) as stored
