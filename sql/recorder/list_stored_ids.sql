-- Which of these executions does the log have? Ids and times, pair by pair.
-- $1 ids uuid[]
-- $2 times timestamptz[]
-- Columns: id uuid
-- Index: strategy_execution_log_id
select id
from execlog.list_stored_ids($1::uuid[], $2::timestamptz[]) as stored (id)
