-- What fires, from one `execlog check --webhook` to the next: one row a check, while anything fires.
--
-- Locks: none on tables that are in use.
-- Expected stall: none.

create table execlog.alert_state (
    check_id text not null,
    firing jsonb not null default '[]',
    holder uuid,
    held_until timestamptz,
    constraint alert_state_pkey primary key (check_id),
    constraint check_id check (check_id ~ '^[0-9a-f]{32}$'),
    constraint firing check (jsonb_typeof(firing) = 'array')
);

comment on table execlog.alert_state is 'What fires, from one check to the next; one row a check.';
comment on column execlog.alert_state.check_id is 'A digest of its scope, its limits and its window.';
comment on column execlog.alert_state.firing is 'Strategies, the limits that they exceed, and since when.';
comment on column execlog.alert_state.holder is 'The process that asks, judges and tells; NULL: none.';
comment on column execlog.alert_state.held_until is 'When another process may take its place.';

-- It is whose the log is.
do $$
declare
    path constant text := pg_catalog.current_setting('search_path');
    log_owner oid;
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    select relowner
    into log_owner
    from pg_class
    where oid = 'execlog.strategy_execution_log'::regclass;
    if pg_get_userbyid(log_owner) <> current_user then
        execute 'alter table execlog.alert_state owner to ' || quote_ident(pg_get_userbyid(log_owner));
    end if;
    perform set_config('search_path', path, true);
end
$$;
