-- Which log answers, and which history of its server?
-- Columns: system text?, database text?, log text?, timeline text?, started timestamptz?, is_standby boolean?
-- Index: none
--
-- A copy of a database has another number than the original, a table that was made again too. Each recovery to an
-- earlier time, and each standby that takes over, begins a timeline; a standby itself does not know where it is.
-- A server that was copied as files has the same timeline, but was started at another time.
select
    (select system_identifier from pg_catalog.pg_control_system())::text as system,
    (
        select oid
        from pg_catalog.pg_database
        where datname = current_database()
    )::text as database,
    'execlog.strategy_execution_log'::regclass::oid::text as log,
    case
        when not pg_is_in_recovery()
        then left(pg_walfile_name(pg_current_wal_lsn()), 8)
    end as timeline,
    pg_postmaster_start_time() as started,
    pg_is_in_recovery() as is_standby
