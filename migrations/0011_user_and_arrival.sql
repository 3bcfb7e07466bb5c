-- Finds the runs of a user, and the rows that were stored last.
--
-- Locks: execlog.strategy_execution_log, share: who stores waits, who reads doesn't. Expected stall: the time
-- to build the indexes, about half a second for each million rows that have a user; an index on rows that
-- are older than 0010 has nothing of them in the second one. To avoid the stall, build them on each partition
-- with `create index concurrently` beforehand: Postgres then attaches them.
--
-- Price on COPY of 2,000 rows: user 0.85 where each row has one, nothing where none has; stored 0.93. Bytes a
-- row: user 30 to 40, stored 6.

-- A hash: no order is asked for, ids of users are random, and a btree cost COPY a third.
create index strategy_execution_log_user
    on execlog.strategy_execution_log using hash (external_user_id)
    where external_user_id is not null;

-- The rows of one batch have one transaction: the index keeps such entries together.
create index strategy_execution_log_stored
    on execlog.strategy_execution_log (stored_xid)
    where stored_xid is not null;
