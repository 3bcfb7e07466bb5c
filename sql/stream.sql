-- All executions, or those of one strategy, newest first, for as long as somebody goes on reading.
-- $1 strategy_id text?
-- $2 since timestamptz?
-- $3 until timestamptz?
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_time, strategy_execution_log_newest
--
-- It is prepared again for each stream, so that the plan knows its parameters.
-- The limit is none (of a number below 1 nothing is left), but the planner can't know, and takes it for a
-- tenth of the rows: so it walks along an index, where it would sort them all on disk before the first.
select
    :columns
from execlog.strategy_execution_log
where strategy_id is distinct from ''
    and strategy_id = $1::text  -- if strategy_id
    and created_at >= $2::timestamptz  -- if since
    and created_at <= $3::timestamptz  -- if until
order by created_at desc nulls last, id desc
limit nullif(floor(random())::bigint, 0)
