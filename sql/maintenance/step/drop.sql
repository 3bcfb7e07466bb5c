-- Removes a partition with all its rows, in milliseconds.
--
-- Where one partition is DEFAULT, Postgres can't detach another one concurrently: for a moment the log is
-- locked. It is detached first, which fails where it is no partition any more: then it is somebody's.

-- Autovacuum gives way after a second, in which nobody else has to wait.
lock table execlog.:"partition" in share update exclusive mode;
lock table execlog.strategy_execution_log_default in share update exclusive mode;

set local lock_timeout = :'lock_timeout';

-- From here on everybody waits: no longer than the limit for this lock, and than that for the rest.
lock table only execlog.strategy_execution_log in access exclusive mode;

set local statement_timeout = :'lock_timeout';

alter table execlog.strategy_execution_log detach partition execlog.:"partition";

drop table execlog.:"partition";

-- Rollups tell from here on that they know more than the rows.
update execlog.rollup_state
set rows_from = greatest(rows_from, :'ends');
