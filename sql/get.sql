-- One execution whole, by its id.
-- $1 id uuid
-- $2 strategy_id text?
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_id
select
    id,
    created_at,
    strategy_id,
    strategy_version,
    strategy_type,
    realm_id,
    external_game_id,
    external_task_id,
    external_user_id,
    status,
    error_code,
    points,
    case_name,
    duration_ms,
    nodes_executed,
    trace::text as trace,
    sampled,
    sample_rate,
    parent_strategy_id,
    notes
from execlog.strategy_execution_log
where id = $1::uuid
    and ($2::text is null or strategy_id = $2::text)
order by created_at desc nulls last, strategy_id
limit 1
