-- Spreads a log over the machines of a Citus cluster: all executions of a strategy lie on one of them.
--
-- Safe to run again: distributed tables stay as they are. Stored rows are moved, and nothing can be stored
-- meanwhile, so it is best done while the log is small. Each statement stands by itself and names the schema
-- of everything that it calls: in another schema any role may have made a function with a better match.

-- On a distributed table no trigger sees all rows of a statement: no rollups are kept there, and everything
-- is read from the rows.
do $$
begin
    if exists (
        select from pg_catalog.pg_trigger
        where tgrelid operator(pg_catalog.=) 'execlog.strategy_execution_log'::pg_catalog.regclass
            and tgname operator(pg_catalog.=) 'roll_up'
    ) then
        drop trigger roll_up on execlog.strategy_execution_log;
    end if;
end
$$;

update execlog.rollup_state
set enabled = false, complete_from = 'infinity'
where enabled;

create or replace function execlog.rollup_cut(since timestamptz, until timestamptz, follows boolean default false)
returns table (grain integer, begins timestamptz, ends timestamptz)
language sql
immutable
as $$
    select null::integer, coalesce(since, '-infinity'), coalesce(until, 'infinity')
$$;

create or replace function execlog.rollup_parts(strategy text, since timestamptz, until timestamptz)
returns table (grain integer, begins timestamptz, ends timestamptz)
language sql
immutable
as $$
    select null::integer, coalesce(since, '-infinity'), coalesce(until, 'infinity')
$$;

select pg_catalog.create_distributed_table(
    'execlog.strategy_execution_log', 'strategy_id', colocate_with => 'none', shard_count => :shards
)
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.strategy_execution_log'::pg_catalog.regclass
);

-- With this table on all machines a recorder can connect to any of them.
select pg_catalog.create_distributed_table(
    'execlog.recorder_progress', 'recorder_id', colocate_with => 'none', shard_count => :shards
)
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.recorder_progress'::pg_catalog.regclass
);

select pg_catalog.create_distributed_table('execlog.rollup', 'strategy_id', colocate_with => 'execlog.strategy_execution_log')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.rollup'::pg_catalog.regclass
);

select pg_catalog.create_distributed_table('execlog.rollup_name', 'strategy_id', colocate_with => 'execlog.strategy_execution_log')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.rollup_name'::pg_catalog.regclass
);

select pg_catalog.create_reference_table('execlog.rollup_state')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.rollup_state'::pg_catalog.regclass
);

select pg_catalog.create_reference_table('execlog.schema_migration')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.schema_migration'::pg_catalog.regclass
);

-- One row; maintenance runs on the coordinator, and all machines may read its state.
select pg_catalog.create_reference_table('execlog.maintenance')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.maintenance'::pg_catalog.regclass
);

select pg_catalog.create_distributed_function('execlog.partitions()');

select pg_catalog.create_distributed_function('execlog.rollup_bar(double precision)');

select pg_catalog.create_distributed_function('execlog.rollup_cut(timestamptz, timestamptz, boolean)');

select pg_catalog.create_distributed_function('execlog.rollup_parts(text, timestamptz, timestamptz)');

-- The functions that a recorder calls on the machine that it is connected to. If the log was migrated on a
-- cluster they exist there already, with the rights that PUBLIC has on a function.
select pg_catalog.create_distributed_function('execlog.claim_batch(uuid, bigint, uuid, uuid)')
where not exists (
    select 1
    from pg_catalog.pg_dist_object
    where objid operator(pg_catalog.=) 'execlog.claim_batch(uuid, bigint, uuid, uuid)'::pg_catalog.regprocedure
);

select pg_catalog.create_distributed_function('execlog.prune_recorders()')
where not exists (
    select 1
    from pg_catalog.pg_dist_object
    where objid operator(pg_catalog.=) 'execlog.prune_recorders()'::pg_catalog.regprocedure
);

select pg_catalog.run_command_on_workers(
    'revoke execute on function execlog.claim_batch(uuid, bigint, uuid, uuid), execlog.prune_recorders() from public'
);
