-- Is nobody else at it, and what time is it? If so, nobody will be until this session ends or unlocks.
-- $1 backend_pid integer
-- Columns: direct boolean, locked boolean?, server_time timestamptz
-- Index: none
--
-- direct: the backend is the one that the client was told of, so no pooler is in between. Through one
-- the lock would stay with a session that others use: it is not taken then.
select
    pg_backend_pid() = $1::integer as direct,
    case
        when pg_backend_pid() = $1::integer
        then pg_try_advisory_lock(hashtextextended('execlog.maintain', 0))
    end as locked,
    statement_timestamp() as server_time
