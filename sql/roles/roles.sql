-- Three roles for a log: the owner changes tables and partitions, the writer stores, the reader reads.
--
-- Run it as a superuser, after `execlog migrate` and again after each later one; it may run any number of
-- times. The roles may log in once you have given them a password (\password) or a line in pg_hba.conf.
-- Others can be made members of them; what is set here for sessions is then theirs to set.
--
-- PUBLIC may have lost its default rights: each right that a role needs is granted to it by name. Names are
-- looked up in pg_catalog only, here and in the sessions of the roles: in another schema any role may have
-- made a function or an operator with a better match, which would run with their rights.
begin;

set local search_path = pg_catalog, pg_temp;

set local lock_timeout = '10s';

-- On a cluster of Citus; elsewhere it means nothing. Functions can't be changed after tables otherwise.
set local citus.multi_shard_modify_mode = 'sequential';

do $$
declare
    role text;
begin
    foreach role in array array[:'owner', :'writer', :'reader'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = role) then
            execute format('create role %I login', role);
        end if;
        execute format('grant connect on database %I to %I', current_database(), role);
        execute format('grant usage on schema execlog to %I', role);
        execute format('alter role %I set search_path = pg_catalog, pg_temp', role);
    end loop;
end
$$;

-- The owner: DDL on the log and nothing else. It migrates, maintains, erases and imports.
do $$
declare
    relation regclass;
begin
    for relation in
        select relid
        from pg_catalog.pg_partition_tree('execlog.strategy_execution_log')
        union all
        values
            ('execlog.alert_state'::regclass),
            ('execlog.archive'::regclass),
            ('execlog.archived_file'::regclass),
            ('execlog.log_identity'::regclass),
            ('execlog.maintenance'::regclass),
            ('execlog.recorder_account'::regclass),
            ('execlog.recorder_progress'::regclass),
            ('execlog.rollup'::regclass),
            ('execlog.rollup_horizon'::regclass),
            ('execlog.rollup_mark'::regclass),
            ('execlog.rollup_mark_of_all'::regclass),
            ('execlog.rollup_partition'::regclass),
            ('execlog.rollup_state'::regclass),
            ('execlog.schema_migration'::regclass)
    loop
        execute format('alter table %s owner to %I', relation, :'owner');
    end loop;
end
$$;

-- Some of them work as the owner for each role that calls them.
do $$
declare
    routine regprocedure;
begin
    for routine in
        select oid
        from pg_catalog.pg_proc
        where pronamespace = 'execlog'::regnamespace
    loop
        execute format('alter function %s owner to %I', routine, :'owner');
    end loop;
end
$$;

grant create on schema execlog to :"owner";
grant usage on language plpgsql, sql to :"owner";

-- The writer: the work of a recorder. It can't read what it has stored.
grant insert on execlog.strategy_execution_log to :"writer";
grant execute on function execlog.archived_on(date[]) to :"writer";
grant execute on function execlog.claim_batch(uuid, bigint, uuid, uuid) to :"writer";
grant execute on function execlog.keep_account(uuid, jsonb) to :"writer";
grant execute on function execlog.list_stored_ids(uuid[], timestamptz[]) to :"writer";
grant execute on function execlog.log_id() to :"writer";
grant execute on function execlog.prune_recorders() to :"writer";
grant execute on function execlog.roll_up() to :"writer";

-- It claims batches by these functions, and can't change the progress of another recorder. (Recorders of
-- earlier versions need what is revoked here: run this once all of them are replaced.)
revoke all on execlog.log_identity, execlog.recorder_account, execlog.recorder_progress from :"writer";

-- A process that hangs in the middle of a batch must not block a migration for ever.
alter role :"writer" set idle_in_transaction_session_timeout = '60s';

-- The reader: all questions, each with a time limit, so that none blocks the removal of a partition.
grant select on
    execlog.archive,
    execlog.archived_file,
    execlog.maintenance,
    execlog.recorder_account,
    execlog.recorder_progress,
    execlog.rollup,
    execlog.rollup_mark,
    execlog.rollup_mark_of_all,
    execlog.rollup_partition,
    execlog.rollup_state,
    execlog.schema_migration
to :"reader";
grant execute on function
    execlog.accounts_in(timestamptz, timestamptz),
    execlog.archived_on(date[]),
    execlog.error_codes(timestamptz, timestamptz, text[], text[], integer[]),
    execlog.log_id(),
    execlog.may_hold(bytea, bytea),
    execlog.names_in(timestamptz, timestamptz),
    execlog.partitions(),
    execlog.quantile(numeric, double precision),
    execlog.rollup_bar(double precision),
    execlog.rollup_cut(text, timestamptz, timestamptz, boolean, tstzmultirange),
    execlog.rollup_dirty(text),
    execlog.rollup_middle(integer),
    execlog.rollup_parts(text, timestamptz, timestamptz),
    execlog.rollup_watched(),
    execlog.rollup_weight_from(numeric, integer),
    execlog.runs_over_time(timestamptz, timestamptz, interval, text[], text[], integer[], boolean, boolean),
    execlog.window_parts(timestamptz, timestamptz, interval, text[])
to :"reader";

-- Of the log every column; inputs only if that is asked for. (A column that a later migration adds is the
-- reader's once this has run again.)
do $$
declare
    columns text;
    relation text;
begin
    select string_agg(quote_ident(attname), ', ' order by attnum)
    into columns
    from pg_catalog.pg_attribute
    where attrelid = 'execlog.strategy_execution_log'::regclass
        and attnum > 0
        and not attisdropped
        and attname <> 'input';
    foreach relation in array array['strategy_execution_log', 'strategy_execution_log_default'] loop
        -- Rights to single columns go with it.
        execute format('revoke select on execlog.%I from %I', relation, :'reader');
        if :'inputs' then
            execute format('grant select on execlog.%I to %I', relation, :'reader');
        else
            execute format('grant select (%s) on execlog.%I to %I', columns, relation, :'reader');
        end if;
    end loop;
end
$$;

alter role :"reader" set default_transaction_read_only = on;
alter role :"reader" set statement_timeout = '30s';
alter role :"reader" set idle_in_transaction_session_timeout = '60s';
alter role :"reader" set jit = off;

commit;
