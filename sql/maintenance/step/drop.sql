-- Removes a partition with all its rows, in milliseconds.
--
-- While there is a DEFAULT partition, Postgres can't detach another one concurrently: for a moment the log is
-- locked. Detaching comes first and fails if the table is no partition any more: then it is not ours.

-- Autovacuum is cancelled after a second, during which nothing else waits.
lock table execlog.:"partition" in share update exclusive mode;
lock table execlog.strategy_execution_log_default in share update exclusive mode;

set local lock_timeout = :'lock_timeout';

-- From here on all other sessions wait: at most the limit for this lock, and then that for the rest.
lock table only execlog.strategy_execution_log in access exclusive mode;

set local statement_timeout = :'lock_timeout';

alter table execlog.strategy_execution_log detach partition execlog.:"partition";

drop table execlog.:"partition";

-- From here on, rollups hold runs whose rows are gone, and say so.
update execlog.rollup_state
set rows_from = greatest(rows_from, :'ends');
