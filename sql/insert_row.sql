-- Stores one execution.
-- $1 row text
-- Columns: none
-- Index: none
--
-- The row is its columns by their names, as one text: the server reads each value by the column's type of
-- this moment, and a json codec of the pool has no part in it.
insert into execlog.strategy_execution_log (
    :columns(stored)
)
select
    :columns(stored)
from json_populate_record(null::execlog.strategy_execution_log, $1::text::json)
