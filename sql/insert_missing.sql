-- Stores many executions, except those that are stored already.
-- $1 rows text
-- Columns: stored bigint
-- Index: strategy_execution_log_id
--
-- A row is stored already if its id, strategy and time are. Rows are objects keyed by column,
-- as one text: for arrays of values asyncpg would have to query the arrays' types.
with stored as (
    insert into execlog.strategy_execution_log (
        :columns(stored, written)
    )
    select
        :columns(stored, written)
    from json_populate_recordset(null::execlog.strategy_execution_log, $1::text::json)
    on conflict do nothing
    returning 1
)
select count(*) as stored
from stored
