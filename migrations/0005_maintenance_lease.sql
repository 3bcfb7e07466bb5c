-- Who maintains the log, until when, and when all of it was last done: a lease that readers can't hold.
--
-- Locks: only objects that this file makes. Expected stall: none.
--
-- An advisory lock is anybody's to take: a reader that took it held up maintenance for as long as it
-- liked. This row is changed, and locked, by the owner alone. It ends by itself a minute after the last
-- step that proved it by its token, so a process that dies is in the way for no longer.

create table execlog.maintenance (
    holder text collate "C",
    token uuid,
    held_since timestamptz,
    held_until timestamptz,
    maintained_at timestamptz,
    left_in_default bigint,
    tracked_since timestamptz not null default now(),
    only_row boolean not null default true,
    constraint maintenance_pkey primary key (only_row),
    constraint only_row check (only_row)
);

comment on table execlog.maintenance is 'Who maintains the log, and when it was last done; one row.';
comment on column execlog.maintenance.holder is 'The host and the process that maintains; NULL: none does.';
comment on column execlog.maintenance.token is 'What its holder proves the lease by; NULL: it is free.';
comment on column execlog.maintenance.held_since is 'When the holder began.';
comment on column execlog.maintenance.held_until is 'From then on others may take it, unless a step of the holder is still at work.';
comment on column execlog.maintenance.maintained_at is 'The end of the last run that put nothing off and in which nothing failed.';
comment on column execlog.maintenance.left_in_default is 'Rows with a time that the last run left in DEFAULT: too few of one time for a partition.';
comment on column execlog.maintenance.tracked_since is 'Since when maintained_at is kept.';

insert into execlog.maintenance default values;

-- It is whose the log is, and who may ask which migrations there are may ask this too.
do $$
declare
    path constant text := pg_catalog.current_setting('search_path');
    log_owner oid;
    reader text;
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    select relowner
    into log_owner
    from pg_catalog.pg_class
    where oid = 'execlog.strategy_execution_log'::regclass;
    for reader in
        select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
        from pg_catalog.pg_class
        cross join lateral aclexplode(relacl)
        where oid = 'execlog.schema_migration'::regclass
            and privilege_type = 'SELECT'
            and grantee <> relowner
    loop
        execute 'grant select on execlog.maintenance to ' || reader;
    end loop;
    if pg_get_userbyid(log_owner) <> current_user then
        execute 'alter table execlog.maintenance owner to ' || quote_ident(pg_get_userbyid(log_owner));
    end if;
    perform pg_catalog.set_config('search_path', path, true);
end
$$;
