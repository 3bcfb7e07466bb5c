-- A role that asks what the reader may ask, and keeps what fires between one check and the next.
--
-- Run it as a superuser, after the SQL of the three roles; it may run any number of times.
begin;

set local search_path = pg_catalog, pg_temp;

set local lock_timeout = '10s';

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = :'alerter') then
        execute format('create role %I login', :'alerter');
    end if;
    execute format('grant connect on database %I to %I', current_database(), :'alerter');
end
$$;

grant usage on schema execlog to :"alerter";
grant :"reader" to :"alerter";
grant select, insert, update, delete on execlog.alert_state to :"alerter";

alter role :"alerter" set search_path = pg_catalog, pg_temp;
alter role :"alerter" set statement_timeout = '30s';
alter role :"alerter" set idle_in_transaction_session_timeout = '60s';
alter role :"alerter" set jit = off;

commit;
