-- The index of users is a btree: a hash grew slow with each row of a user who has many.
--
-- Locks: execlog.strategy_execution_log, access exclusive for the drop and share for the build: who stores
-- waits, and so does who reads until the drop is committed with the build. Expected stall: the time to build
-- it, about half a second for each million rows that have a user. To avoid it, build a btree on each partition
-- with `create index concurrently` beforehand: Postgres then attaches it.
--
-- Entries of one user lie in one bucket of a hash, and each new one walks through all of them: a user with
-- 850,000 rows took 6,000 more rows a second, where a btree takes 1,200,000. Price on COPY of 2,000 rows: 0.81
-- where each has a user (the hash: 0.86). Bytes a row: 10 to 20 where users return, 66 where each is another one.

drop index execlog.strategy_execution_log_user;

create index strategy_execution_log_user
    on execlog.strategy_execution_log (external_user_id)
    where external_user_id is not null;
