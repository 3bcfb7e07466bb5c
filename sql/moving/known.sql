-- How many of these executions are stored already?
-- $1 rows text
-- Columns: known bigint
-- Index: strategy_execution_log_id
--
-- A join, not an exists: on a cluster the rows are sent to the machines.
with theirs as materialized (
    select id, strategy_id, created_at
    from json_populate_recordset(null::execlog.strategy_execution_log, $1::text::json)
)
select count(*) as known
from execlog.strategy_execution_log as ours
join theirs
    on ours.id = theirs.id
    and ours.strategy_id = theirs.strategy_id
    and (ours.created_at = theirs.created_at or (ours.created_at is null and theirs.created_at is null))
