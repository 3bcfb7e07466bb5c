-- Health of the log: which migrations are applied, how large it is, where it begins and ends, what is wrong?
-- Columns: server_version text, server_time timestamptz, writable boolean, migrations text[], has_default boolean, partitions bigint, estimated_rows bigint?, table_bytes bigint, index_bytes bigint, oldest timestamptz?, newest timestamptz?, stray_rows bigint, undated_rows bigint, covered_until timestamptz, last_stored timestamptz?, oldest_write timestamptz?, locks_of_a_read bigint, lock_slots bigint, max_locks_per_transaction integer, connections bigint, without_replica_identity text[]
-- Index: strategy_execution_log_time
--
-- All of it exists since the first migration: a service that is deployed before `migrate` gets its answer.
-- It reads the catalogue and the ends of an index, and at most a million entries of the DEFAULT partition,
-- where rows at the ends of the calendar belong. server_time is when the statement arrived. days_ahead ends
-- at the first gap between partitions.
-- For a table without ANALYZE, or one that was empty then, the rows are those of the server's statistics; a
-- standby and a server after a crash have none: then the rows are unknown, and so is their sum.
-- (With min and max the planner would take three times as long over hundreds of partitions.)
-- Only members of pg_read_all_stats see the age of other roles' transactions. lock_slots is the size of the
-- server's lock table, of which a read of everything takes one slot for each partition and each index of it.
with partition as materialized (
    select
        is_default,
        begins,
        ends
    from execlog.partitions()
),
leaf as materialized (
    select
        case
            when child.reltuples > 0 then child.reltuples
            when pg_stat_get_live_tuples(child.oid) > 0 then pg_stat_get_live_tuples(child.oid)
            when pg_stat_get_tuples_inserted(child.oid) > 0 or pg_relation_size(child.oid) = 0 then 0
        end as estimated_rows,
        pg_table_size(child.oid) as table_bytes,
        pg_indexes_size(child.oid) as index_bytes
    from pg_partition_tree('execlog.strategy_execution_log') as tree
    join pg_catalog.pg_class as child on child.oid = tree.relid
    where tree.isleaf
),
own as (
    select
        begins,
        ends
    from partition
    where not is_default
)
select
    current_setting('server_version') as server_version,
    statement_timestamp() as server_time,
    not current_setting('transaction_read_only')::boolean
        and has_table_privilege('execlog.strategy_execution_log', 'insert') as writable,
    (
        select coalesce(array_agg(name::text order by name), '{}')
        from execlog.schema_migration
    ) as migrations,
    exists (select from partition where is_default) as has_default,
    (select count(*) from own) as partitions,
    (
        select case when count(*) = count(estimated_rows) then coalesce(sum(estimated_rows), 0)::bigint end
        from leaf
    ) as estimated_rows,
    (select coalesce(sum(table_bytes), 0)::bigint from leaf) as table_bytes,
    (select coalesce(sum(index_bytes), 0)::bigint from leaf) as index_bytes,
    (
        select created_at
        from execlog.strategy_execution_log
        where strategy_id is distinct from ''
            and created_at is not null
        order by created_at nulls first, id
        limit 1
    ) as oldest,
    (
        select created_at
        from execlog.strategy_execution_log
        where strategy_id is distinct from ''
            and created_at is not null
        order by created_at desc nulls last, id desc
        limit 1
    ) as newest,
    (
        select count(*)
        from (
            select created_at
            from execlog.strategy_execution_log_default
            where strategy_id is distinct from ''
                and created_at >= '0002-01-01 00:00:00+00'
                and created_at < '9998-01-01 00:00:00+00'
            limit 1000000
        ) as stray
    ) as stray_rows,
    (
        select count(*)
        from (
            select created_at
            from execlog.strategy_execution_log_default
            where strategy_id is distinct from ''
                and created_at is null
            limit 1000000
        ) as undated
    ) as undated_rows,
    case
        when exists (select from own where begins <= now() and ends > now())
        then (
            select min(ends)
            from own
            where ends > now()
                and not exists (select from own as next where next.begins <= own.ends and next.ends > own.ends)
        )
        else now()
    end as covered_until,
    (select max(stored_at) from execlog.recorder_progress) as last_stored,
    (
        select min(xact_start)
        from pg_catalog.pg_stat_activity
        where backend_xid is not null
            and datname = current_database()
    ) as oldest_write,
    (
        select count(*) + count(distinct tree.relid)
        from pg_partition_tree('execlog.strategy_execution_log') as tree
        left join pg_catalog.pg_index as held on held.indrelid = tree.relid
    ) as locks_of_a_read,
    current_setting('max_locks_per_transaction')::bigint * (
        current_setting('max_connections')::bigint
        + current_setting('max_prepared_transactions')::bigint
        + current_setting('max_worker_processes')::bigint
        + current_setting('max_wal_senders')::bigint
        + coalesce(current_setting('autovacuum_worker_slots', true), current_setting('autovacuum_max_workers'))::bigint
    ) as lock_slots,
    current_setting('max_locks_per_transaction')::integer as max_locks_per_transaction,
    (
        select numbackends::bigint
        from pg_catalog.pg_stat_database
        where datname = current_database()
    ) as connections,
    (
        select coalesce(array_agg(format('%I.%I', namespace.nspname, class.relname) order by class.oid), '{}')
        from pg_catalog.pg_class as class
        join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
        where class.relkind in ('r', 'p')
            and (
                class.oid in (select relid from pg_partition_tree('execlog.strategy_execution_log'))
                or class.relnamespace = 'execlog'::regnamespace
                    and class.relname in ('alert_state', 'archive', 'archived_file', 'log_identity', 'maintenance', 'recorder_account', 'recorder_progress', 'rollup', 'rollup_horizon', 'rollup_mark', 'rollup_mark_of_all', 'rollup_partition', 'rollup_state', 'schema_migration')
            )
            and class.relreplident <> 'f'
            and not exists (
                select from pg_catalog.pg_index as index
                where index.indrelid = class.oid
                    and index.indimmediate
                    and case class.relreplident when 'd' then index.indisprimary when 'i' then index.indisreplident end
            )
    ) as without_replica_identity
