-- Drops the index of users of 0011, which that of 0014 replaces.
--
-- Locks: execlog.strategy_execution_log and its partitions, access exclusive: all wait. Expected stall:
-- milliseconds. A file of its own, so that readers don't wait while the other index is built.

-- An owner with a user of many rows may have dropped it already.
drop index if exists execlog.strategy_execution_log_user;
