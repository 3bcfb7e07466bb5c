-- Is nobody else at it, and what time is it? If so, nobody will be until this session ends or unlocks.
-- Columns: locked boolean, server_time timestamptz
-- Index: none
select
    pg_try_advisory_lock(hashtextextended('execlog.maintain', 0)) as locked,
    statement_timestamp() as server_time
