-- A table for the rows of a file, which goes with the transaction.
create unlogged table execlog.archive_rows as
select :columns
from execlog.strategy_execution_log
with no data;
