-- Spreads a log over the machines of a Citus cluster: all executions of a strategy lie on one of them, and so do
-- its rollups and what marks them.
--
-- Safe to run again: distributed tables stay as they are. Stored rows are moved, and nothing can be stored
-- meanwhile, so it is best done while the log is small. Each statement stands by itself and names the schema
-- of everything that it calls: in another schema any role may have made a function with a better match.

-- A table that has triggers can't be distributed. Until they are back, and rollups are summed up again, all is read from
-- the rows.
do $$
begin
    if not exists (
        select
        from pg_catalog.pg_dist_partition
        where logicalrelid operator(pg_catalog.=) 'execlog.strategy_execution_log'::pg_catalog.regclass
    ) then
        drop trigger if exists mark_late on execlog.strategy_execution_log;
        drop trigger if exists mark_changed on execlog.strategy_execution_log;
        drop trigger if exists mark_removed on execlog.strategy_execution_log;
        insert into execlog.rollup_mark_of_all (begins, ends)
        values ('-infinity', '-infinity'), ('-infinity', 'infinity');
    end if;
end
$$;

-- Each machine has transaction numbers of its own, which say nothing about the order of commits elsewhere.
alter table execlog.strategy_execution_log alter column stored_xid drop default;

drop index if exists execlog.strategy_execution_log_stored;

select pg_catalog.create_reference_table('execlog.rollup_state')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.rollup_state'::pg_catalog.regclass
);

select pg_catalog.create_reference_table('execlog.rollup_mark_of_all')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.rollup_mark_of_all'::pg_catalog.regclass
);

select pg_catalog.create_distributed_table(
    'execlog.strategy_execution_log', 'strategy_id', colocate_with => 'none', shard_count => :shards
)
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.strategy_execution_log'::pg_catalog.regclass
);

select pg_catalog.create_distributed_table('execlog.rollup', 'strategy_id', colocate_with => 'execlog.strategy_execution_log')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.rollup'::pg_catalog.regclass
);

select pg_catalog.create_distributed_table('execlog.rollup_mark', 'strategy_id', colocate_with => 'execlog.strategy_execution_log')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.rollup_mark'::pg_catalog.regclass
);

-- With these tables on all machines a recorder can connect to any of them.
select pg_catalog.create_distributed_table(
    'execlog.recorder_progress', 'recorder_id', colocate_with => 'none', shard_count => :shards
)
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.recorder_progress'::pg_catalog.regclass
);

select pg_catalog.create_distributed_table(
    'execlog.recorder_account', 'recorder_id', colocate_with => 'none', shard_count => :shards
)
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.recorder_account'::pg_catalog.regclass
);

select pg_catalog.create_reference_table('execlog.schema_migration')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.schema_migration'::pg_catalog.regclass
);

-- One row, which a recorder asks for on the machine that it is connected to.
select pg_catalog.create_reference_table('execlog.log_identity')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.log_identity'::pg_catalog.regclass
);

-- Few rows; a check may connect to any machine.
select pg_catalog.create_reference_table('execlog.alert_state')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.alert_state'::pg_catalog.regclass
);

-- Empty: a cluster has no archive; whichever machine is asked says so.
select pg_catalog.create_reference_table('execlog.archive')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.archive'::pg_catalog.regclass
);

select pg_catalog.create_reference_table('execlog.archived_file')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.archived_file'::pg_catalog.regclass
);

-- One row; maintenance runs on the coordinator, and all machines may read its state.
select pg_catalog.create_reference_table('execlog.maintenance')
where not exists (
    select 1
    from pg_catalog.pg_dist_partition
    where logicalrelid operator(pg_catalog.=) 'execlog.maintenance'::pg_catalog.regclass
);

-- What is different on a cluster. A trigger can mark what its own machine has, and no times of all strategies.
create or replace function execlog.most_marks()
returns integer
language sql
immutable
as $$
    select 1000000
$$;

-- What was done to partitions by hand is known to the coordinator, and read from rollups until it rolls up.
create or replace function execlog.rollup_dirty(strategy text)
returns tstzmultirange
language sql
stable
set search_path = pg_catalog, pg_temp
set citus.allow_nested_distributed_execution = on
as $$
    select
        coalesce(
            (
                select range_agg(tstzrange(begins, ends))
                from execlog.rollup_mark
                where strategy_id = strategy
                    and begins < ends
            ),
            '{}'
        ) + coalesce(
            (
                select range_agg(tstzrange(begins, ends))
                from execlog.rollup_mark_of_all
                where begins < ends
            ),
            '{}'
        )
$$;

-- Of each machine, by its own clock: there rows are found to be late. One that does not answer holds all up. Only the
-- coordinator rolls up.
create or replace function execlog.rollup_clocks(mine bigint)
returns setof execlog.rollup_clock
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select
        nodeid,
        (case when success then result::json ->> 0 end)::bigint,
        coalesce((case when success then result::json ->> 1 end)::bigint, 9223372036854775807),
        coalesce((case when success then result::json ->> 2 end)::timestamptz, now())
    from run_command_on_all_nodes(
        'select json_build_array(pg_snapshot_xmin(pg_current_snapshot()), pg_current_xact_id(), now())'
    )
    where (select groupid = 0 from pg_dist_local_group)
$$;

-- Each machine sums up its own: a query that is sent there whole, while a function that reads is not. A part that is
-- made once for several others would be gathered here first, so that it is made for each.
create or replace function execlog.sum_up_rows(seconds integer, since timestamptz, until timestamptz, strategies text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute (
        select 'insert into execlog.rollup ' || replace(prosrc, 'as materialized', 'as not materialized')
        from pg_proc
        where oid = 'execlog.rollup_of_rows(integer, timestamptz, timestamptz, text[])'::regprocedure
    ) using seconds, since, until, strategies;
end
$$;

create or replace function execlog.sum_up_rollups(finer integer, seconds integer, since timestamptz, until timestamptz, strategies text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute (
        select 'insert into execlog.rollup ' || replace(prosrc, 'as materialized', 'as not materialized')
        from pg_proc
        where oid = 'execlog.rollup_of_rollups(integer, integer, timestamptz, timestamptz, text[])'::regprocedure
    ) using finer, seconds, since, until, strategies;
end
$$;

-- By one connection to each machine: what was summed up and that it is, a machine learns at once.
alter function execlog.roll_up() set citus.multi_shard_modify_mode = 'sequential';

-- They are called on the machine that has the strategy, and read its marks and rollups there.
alter function execlog.rollup_cut(text, timestamptz, timestamptz, boolean, tstzmultirange)
    set citus.allow_nested_distributed_execution = on;

alter function execlog.rollup_parts(text, timestamptz, timestamptz)
    set citus.allow_nested_distributed_execution = on;

select pg_catalog.create_distributed_function('execlog.partitions()');

select pg_catalog.create_distributed_function('execlog.quantile(numeric, double precision)');

select pg_catalog.create_distributed_function('execlog.rollup_bar(double precision)');

select pg_catalog.create_distributed_function('execlog.rollup_middle(integer)');

select pg_catalog.create_distributed_function('execlog.rollup_weight_from(numeric, integer)');

select pg_catalog.create_distributed_function('execlog.rollup_edge(double precision)');

select pg_catalog.create_distributed_function('execlog.rollup_dirty(text)');

select pg_catalog.create_distributed_function('execlog.rollup_cut(text, timestamptz, timestamptz, boolean, tstzmultirange)');

select pg_catalog.create_distributed_function('execlog.rollup_parts(text, timestamptz, timestamptz)');

select pg_catalog.create_distributed_function('execlog.most_marks()');

select pg_catalog.create_distributed_function('execlog.mark_run()');

-- The functions that a recorder calls on the machine that it is connected to. If the log was migrated on a
-- cluster they exist there already, with the rights that PUBLIC has on a function.
select pg_catalog.create_distributed_function('execlog.claim_batch(uuid, bigint, uuid, uuid)')
where not exists (
    select 1
    from pg_catalog.pg_dist_object
    where objid operator(pg_catalog.=) 'execlog.claim_batch(uuid, bigint, uuid, uuid)'::pg_catalog.regprocedure
);

select pg_catalog.create_distributed_function('execlog.keep_account(uuid, jsonb)')
where not exists (
    select 1
    from pg_catalog.pg_dist_object
    where objid operator(pg_catalog.=) 'execlog.keep_account(uuid, jsonb)'::pg_catalog.regprocedure
);

select pg_catalog.create_distributed_function('execlog.log_id()')
where not exists (
    select 1
    from pg_catalog.pg_dist_object
    where objid operator(pg_catalog.=) 'execlog.log_id()'::pg_catalog.regprocedure
);

select pg_catalog.create_distributed_function('execlog.list_stored_ids(uuid[], timestamptz[])')
where not exists (
    select 1
    from pg_catalog.pg_dist_object
    where objid operator(pg_catalog.=) 'execlog.list_stored_ids(uuid[], timestamptz[])'::pg_catalog.regprocedure
);

select pg_catalog.create_distributed_function('execlog.prune_recorders()')
where not exists (
    select 1
    from pg_catalog.pg_dist_object
    where objid operator(pg_catalog.=) 'execlog.prune_recorders()'::pg_catalog.regprocedure
);

select pg_catalog.create_distributed_function('execlog.mark(text, text, timestamptz, interval)')
where not exists (
    select 1
    from pg_catalog.pg_dist_object
    where objid operator(pg_catalog.=) 'execlog.mark(text, text, timestamptz, interval)'::pg_catalog.regprocedure
);

select pg_catalog.run_command_on_workers(
    'revoke execute on function execlog.claim_batch(uuid, bigint, uuid, uuid), execlog.keep_account(uuid, jsonb), execlog.log_id(), execlog.list_stored_ids(uuid[], timestamptz[]), execlog.prune_recorders(), execlog.mark(text, text, timestamptz, interval) from public'
);

-- Rows that came in between were not marked.
do $$
begin
    if not exists (
        select
        from pg_catalog.pg_trigger
        where tgrelid operator(pg_catalog.=) 'execlog.strategy_execution_log'::pg_catalog.regclass
            and tgname operator(pg_catalog.=) 'mark_late'
    ) then
        perform execlog.watch_rows();
        insert into execlog.rollup_mark_of_all (begins, ends)
        values ('-infinity', '-infinity'), ('-infinity', 'infinity');
    end if;
end
$$;
