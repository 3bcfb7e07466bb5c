-- One execution whole, by its id.
-- $1 id uuid
-- $2 strategy_id text?
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_id
--
-- The id finds one row in practice, but only id, strategy and time together are unique. Materialised,
-- or the planner may walk a whole strategy from its newest row, in the order that is asked for.
with found as materialized (
    select log
    from execlog.strategy_execution_log as log
    where id = $1::uuid
        and ($2::text is null or strategy_id = $2::text)
)
select
    (log).id,
    (log).created_at,
    (log).strategy_id,
    (log).strategy_version,
    (log).strategy_type,
    (log).realm_id,
    (log).external_game_id,
    (log).external_task_id,
    (log).external_user_id,
    (log).status,
    (log).error_code,
    (log).points,
    (log).case_name,
    (log).duration_ms,
    (log).nodes_executed,
    (log).trace::text as trace,
    (log).sampled,
    (log).sample_rate,
    (log).parent_strategy_id,
    (log).notes
from found
order by (log).created_at desc nulls last, (log).strategy_id
limit 1
