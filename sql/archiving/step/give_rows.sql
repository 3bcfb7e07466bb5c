-- Stores those rows of a file that the log lacks. The rollups hold them already: no mark is made of them.
set local strategy_execution_log.marked = 'no';

insert into execlog.strategy_execution_log (:columns)
select :columns
from execlog.archive_rows
on conflict do nothing;

drop table execlog.archive_rows;
