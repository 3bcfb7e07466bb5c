-- Spreads a log over the machines of a Citus cluster: all executions of a strategy lie on one of them.
--
-- Safe to run again: what is distributed already stays as it is. Rows that are there move, and nobody can
-- store meanwhile, so it is best done while the log is small. Each statement stands by itself.

select pg_catalog.create_distributed_table(
    'execlog.strategy_execution_log', 'strategy_id', colocate_with => 'none', shard_count => :shards
)
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid = 'execlog.strategy_execution_log'::regclass
);

-- With its rows on all machines a recorder can connect to any of them.
select pg_catalog.create_distributed_table(
    'execlog.recorder_progress', 'recorder_id', colocate_with => 'none', shard_count => :shards
)
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid = 'execlog.recorder_progress'::regclass
);

select pg_catalog.create_reference_table('execlog.schema_migration')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid = 'execlog.schema_migration'::regclass
);

select pg_catalog.create_distributed_function('execlog.partitions()');
