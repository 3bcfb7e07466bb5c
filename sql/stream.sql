-- All executions, or those of one strategy, newest first, for as long as somebody goes on reading.
-- $1 strategy_id text?
-- $2 since timestamptz?
-- $3 until timestamptz?
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_time, strategy_execution_log_newest
--
-- It is prepared anew for each stream, so that the plan knows its parameters: what is NULL is no
-- condition, and a window leaves out the rows without a time.
-- The limit is none (of a number below 1 nothing is left), but the planner can't know, and takes it for a
-- tenth of the rows: so it walks along an index, where it would sort them all on disk before the first.
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
where strategy_id is distinct from ''
    and ($1::text is null or strategy_id = $1::text)
    and ($2::timestamptz is null or created_at >= $2::timestamptz)
    and ($3::timestamptz is null or created_at <= $3::timestamptz)
order by created_at desc nulls last, id desc
limit nullif(floor(random())::bigint, 0)
