-- The executions whose ids begin alike, in the order of their ids.
-- $1 lowest uuid
-- $2 highest uuid
-- $3 strategy_id text?
-- $4 limit bigint
-- switch bare
-- switch no_input
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_id, strategy_execution_log_newest
--
-- The ends of the range of ids are those of a beginning, 0192f0c1-7d3e for example. Its first 8 digits are
-- shared by the runs of 65 seconds, so it must stop at the limit, and does: the order is that of the index.
-- Of a strategy with few rows in a partition, the other index may be the shorter way.
select
    :columns
from execlog.strategy_execution_log
where id >= $1::uuid
    and id <= $2::uuid
    and strategy_id = $3::text  -- if strategy_id
order by id, strategy_id, created_at
limit $4::bigint
