-- No rows are removed until the transaction ends, and nobody else rebuilds.
--
-- The locks come before the transaction's first look: what is gone by then, it does not see.
set local lock_timeout = '30s';

lock table execlog.strategy_execution_log in access share mode;

lock table execlog.rollup_state in share row exclusive mode;
