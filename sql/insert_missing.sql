-- Stores many executions, except those that are stored already.
-- $1 rows text
-- Columns: stored bigint
-- Index: strategy_execution_log_id
--
-- A row is stored already where its id, strategy and time are. Rows are the columns by
-- their names, as one text: for arrays of their values asyncpg would have to ask for the arrays' types.
with stored as (
    insert into execlog.strategy_execution_log (
        :columns(stored)
    )
    select
        :columns(stored)
    from json_populate_recordset(null::execlog.strategy_execution_log, $1::text::json)
    on conflict do nothing
    returning 1
)
select count(*) as stored
from stored
