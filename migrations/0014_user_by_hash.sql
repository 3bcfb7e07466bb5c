-- Finds the runs of a user by a hash of the id, in a btree: the hash index of 0011 grows slow with each row of a user.
--
-- Locks: execlog.strategy_execution_log, share: who stores waits, who reads doesn't. Expected stall: the time
-- to build the index, about half a second for each million rows. To avoid the stall, build it on each partition
-- with `create index concurrently` beforehand: Postgres then attaches it.
--
-- Price on COPY of 2,000 rows (`python -m tests.bench.users`): 0.77 to 0.79 where users are many, 0.95 where all rows are
-- of one user or of none. (The hash: 0.76 to 0.82, one user after 360,000 rows 0.22, none 1.00.) Bytes a row: 7 to 17
-- where users return or there is none, about 30 where each is another one.

-- Entries of one user lie in one bucket of a hash index, and each new one walks through all of them. A btree of
-- the ids themselves refuses those of more than 2,704 bytes. Ids that share a hash are told apart by the text,
-- which each statement compares too. Rows without a user are in it: Postgres does not use the statistics of an
-- index of some rows, and without them it takes each user for one of 200.
create index strategy_execution_log_user_hash
    on execlog.strategy_execution_log (pg_catalog.hashtextextended(external_user_id, 0));
