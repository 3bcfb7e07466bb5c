-- How many of these executions are stored already?
-- $1 rows text
-- Columns: known bigint
-- Index: strategy_execution_log_id
select count(*) as known
from json_populate_recordset(null::execlog.strategy_execution_log, $1::text::json) as theirs
where exists (
    select 1
    from execlog.strategy_execution_log as ours
    where ours.id = theirs.id
        and ours.strategy_id = theirs.strategy_id
        and (ours.created_at = theirs.created_at or (ours.created_at is null and theirs.created_at is null))
)
