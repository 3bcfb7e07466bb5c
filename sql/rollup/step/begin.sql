-- No rows are removed until the transaction ends, and nobody else rebuilds.
--
-- The locks come before the transaction's first look: what is gone by then, it does not see. Nobody else's
-- function or operator is taken for what is meant.
set local search_path = pg_catalog, pg_temp;

lock table execlog.strategy_execution_log in access share mode;

lock table execlog.rollup_state in share row exclusive mode;
