-- A role that sees one realm's executions and no others, by row level security on reads.
--
-- Run it as a superuser, after the SQL of the three roles; it may run any number of times. From the first
-- such role on, a role that is neither the owner nor named in a policy sees no rows, and one that stores
-- must bypass policies, as the writer then does: Postgres refuses COPY FROM where any of them applies.
-- (The writer can't read, so there is nothing else that it could bypass.)
begin;

set local lock_timeout = '10s';
set local client_min_messages = warning;

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = :'role') then
        create role :"role" login;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = :'role' and (rolsuper or rolbypassrls))
        or pg_has_role(:'role', :'owner', 'member')
        or pg_has_role(:'role', :'reader', 'member')
    then
        raise insufficient_privilege using message = 'this role may see all realms already';
    end if;
end
$$;

alter role :"writer" bypassrls;

alter table execlog.strategy_execution_log enable row level security;

drop policy if exists :"reader" on execlog.strategy_execution_log;
create policy :"reader" on execlog.strategy_execution_log
    for select
    to :"reader"
    using (true);

drop policy if exists :"role" on execlog.strategy_execution_log;
create policy :"role" on execlog.strategy_execution_log
    for select
    to :"role"
    using (realm_id = :'realm_id');

-- Through the log only: a partition that is read by its own name has no policy.
grant usage on schema execlog to :"role";
grant select on execlog.strategy_execution_log to :"role";

alter role :"role" set default_transaction_read_only = on;
alter role :"role" set statement_timeout = '30s';
alter role :"role" set idle_in_transaction_session_timeout = '60s';
alter role :"role" set jit = off;

commit;
