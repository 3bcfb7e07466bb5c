-- Stores one execution.
-- $1 row text
-- Columns: none
-- Index: none
--
-- The row is an object keyed by column, as one text: the server reads each value by the column's present
-- type, and a json codec of the pool has no effect.
insert into execlog.strategy_execution_log (
    :columns(stored, written)
)
select
    :columns(stored, written)
from json_populate_record(null::execlog.strategy_execution_log, $1::text::json)
