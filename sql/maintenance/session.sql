-- Is this the server itself, and what time is it there?
-- $1 backend_pid integer
-- Columns: direct boolean, server_time timestamptz
-- Index: none
--
-- direct: the backend is the one that the client was told of, so no pooler is in between.
select
    pg_catalog.pg_backend_pid() operator(pg_catalog.=) $1::integer as direct,
    pg_catalog.statement_timestamp() as server_time
