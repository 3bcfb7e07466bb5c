-- Prepares for the removal of a partition: its locks are waited for in this order.

-- On a cluster of Citus; elsewhere it means nothing. What one connection has changed another can't read.
set local citus.multi_shard_modify_mode = 'sequential';

-- Autovacuum is cancelled after a second, during which nothing else waits.
lock table execlog.:"partition" in share update exclusive mode;
lock table execlog.strategy_execution_log_default in share update exclusive mode;

set local lock_timeout = :'lock_timeout';
