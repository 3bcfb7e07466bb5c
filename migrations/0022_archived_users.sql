-- Which users a file of the archive may hold: a filter of each, so that a user's runs of years are not looked for in all files.
--
-- Locks: ACCESS EXCLUSIVE on the table of files, briefly; no lock on the log.
-- Expected stall: none: files are listed anew in a moment, and rows are stored without that table.

-- A look at one user reads one page of it: it lies out of line, and is not compressed.
alter table execlog.archived_file add column users bytea;
alter table execlog.archived_file alter column users set storage external;

comment on column execlog.archived_file.users is 'Bits of the users of its runs (see may_hold); NULL: it may hold any.';

-- Bits come in blocks of 512. The first 4 bytes of a digest choose the block; the next 8 choose seven bits of it, nine
-- bits of theirs for each, the lowest first. Bits are counted from the highest of the first byte on, not from the lowest.
-- A file without users has no block. (Planners that know its bits divide before they look at a condition.)
create function execlog.may_hold(users bytea, digest bytea)
returns boolean
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select users is null or coalesce((
        select bool_and(get_bit(block.bits, (((chosen.places >> (9 * n)) & 511) # 7)::integer) = 1)
        from (
            select
                ('x' || encode(substring(digest from 1 for 4), 'hex'))::bit(32)::bigint as hash,
                ('x' || encode(substring(digest from 5 for 8), 'hex'))::bit(64)::bigint as places
        ) as chosen
        cross join lateral (
            select substring(users from 1 + 64 * (chosen.hash % nullif(octet_length(users) / 64, 0))::integer for 64) as bits
        ) as block
        cross join generate_series(0, 6) as n
    ), false)
$$;

comment on function execlog.may_hold(bytea, bytea) is 'Whether a file with these bits may hold runs of a user; digest: the SHA-256 of the user in UTF-8.';

-- It is whose the log is. Who may read the table may ask it.
do $$
declare
    path constant text := pg_catalog.current_setting('search_path');
    propagation constant text := coalesce(nullif(pg_catalog.current_setting('citus.enable_ddl_propagation', true), ''), 'on');
    log_owner oid;
    granted text;
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform set_config('citus.enable_ddl_propagation', 'off', true);
    select relowner
    into log_owner
    from pg_class
    where oid = 'execlog.strategy_execution_log'::regclass;
    for granted in
        select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
        from pg_class
        cross join aclexplode(relacl)
        where oid = 'execlog.archived_file'::regclass
            and privilege_type = 'SELECT'
            and grantee <> relowner
    loop
        execute 'grant execute on function execlog.may_hold(bytea, bytea) to ' || granted;
    end loop;
    perform set_config('citus.enable_ddl_propagation', propagation, true);
    if pg_get_userbyid(log_owner) <> current_user then
        execute 'alter function execlog.may_hold(bytea, bytea) owner to ' || quote_ident(pg_get_userbyid(log_owner));
    end if;
    perform set_config('search_path', path, true);
end
$$;
