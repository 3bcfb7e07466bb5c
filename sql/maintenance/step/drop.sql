-- Removes a partition with all its rows, in milliseconds.
--
-- Where one partition is DEFAULT, Postgres can't detach another one concurrently: for a moment the log is
-- locked, and while a long query keeps that moment off, others wait no longer than the limit.
set local lock_timeout = :'lock_timeout';

drop table execlog.:"partition";
