-- A role that sees the executions of one realm only, by row level security on reads.
--
-- Run it as a superuser, after the SQL of the three roles; it may run any number of times. From the first
-- such role on, a role that is neither the owner nor named in a policy sees no rows, and a role that stores
-- must bypass policies, as the writer then does: Postgres refuses COPY FROM to a role with policies. (The
-- writer can't read this log, so bypassing shows it nothing.) Rights that the role has by other grants are
-- checked now; check them yourself when you grant more later.
begin;

set local search_path = pg_catalog, pg_temp;

set local lock_timeout = '10s';

-- On a cluster of Citus; elsewhere it means nothing. Functions can't be changed after tables otherwise.
set local citus.multi_shard_modify_mode = 'sequential';
set local client_min_messages = warning;

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = :'role') then
        create role :"role" login;
    end if;
    if pg_has_role(:'role', :'owner', 'member')
        or pg_has_role(:'role', :'reader', 'member')
        or exists (
            select from pg_catalog.pg_roles
            where (rolsuper or rolbypassrls)
                and pg_has_role(:'role', oid, 'member')
        )
        or exists (
            select from pg_catalog.pg_partition_tree('execlog.strategy_execution_log')
            where parentrelid is not null
                and has_any_column_privilege(:'role', relid, 'select')
        )
    then
        raise insufficient_privilege using message = 'this role may see all realms already';
    end if;
    execute format('grant connect on database %I to %I', current_database(), :'role');
end
$$;

-- Members of the writer do not inherit that it bypasses policies.
do $$
declare
    refused text;
begin
    select string_agg(quote_ident(rolname), ', ' order by rolname)
    into refused
    from pg_catalog.pg_roles
    where rolcanlogin
        and not rolsuper
        and not rolbypassrls
        and rolname <> :'writer'
        and pg_has_role(oid, :'writer', 'member');
    if refused is not null then
        raise insufficient_privilege using
            message = 'members of the writer could not store any more: ' || refused,
            hint = 'Have them log in as the writer, or alter role ... bypassrls; then run this again.';
    end if;
end
$$;

alter role :"writer" bypassrls;

-- The log, its rollups and marks, through the log only: a partition that is read by its own name has no policy.
-- Inputs only if that is asked for.
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
    foreach relation in array array['strategy_execution_log', 'rollup', 'rollup_mark'] loop
        execute format('alter table execlog.%I enable row level security', relation);
        execute format('drop policy if exists %I on execlog.%I', :'reader', relation);
        execute format('create policy %I on execlog.%I for select to %I using (true)', :'reader', relation, :'reader');
        execute format('drop policy if exists %I on execlog.%I', :'role', relation);
        execute format('create policy %I on execlog.%I for select to %I using (realm_id = %L)', :'role', relation, :'role', :'realm_id');
        -- Rights to single columns go with it.
        execute format('revoke select on execlog.%I from %I', relation, :'role');
        if relation = 'strategy_execution_log' and not :'inputs' then
            execute format('grant select (%s) on execlog.%I to %I', columns, relation, :'role');
        else
            execute format('grant select on execlog.%I to %I', relation, :'role');
        end if;
    end loop;
end
$$;

grant usage on schema execlog to :"role";
grant select on execlog.rollup_mark_of_all, execlog.rollup_partition, execlog.rollup_state to :"role";
grant execute on function
    execlog.accounts_in(timestamptz, timestamptz),
    execlog.error_codes(timestamptz, timestamptz, text[], text[], integer[]),
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
to :"role";

alter role :"role" set search_path = pg_catalog, pg_temp;
alter role :"role" set default_transaction_read_only = on;
alter role :"role" set statement_timeout = '30s';
alter role :"role" set idle_in_transaction_session_timeout = '60s';
alter role :"role" set jit = off;

commit;
