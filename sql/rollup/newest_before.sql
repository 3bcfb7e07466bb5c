-- When did the newest run before a time finish?
-- $1 before timestamptz
-- Columns: newest timestamptz?
-- Index: strategy_execution_log_time
select max(created_at) as newest
from execlog.strategy_execution_log
where strategy_id is distinct from ''
    and created_at > '-infinity'
    and created_at < $1::timestamptz
