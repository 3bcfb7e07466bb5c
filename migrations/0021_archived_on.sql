-- Which files of the archive may hold executions of some days: asked by what stores executions that may have been stored before.
--
-- Locks: none. Expected stall: none.

-- Who stores may not read the table of files. Times that the log holds too are left out by who asks.
create function execlog.archived_on(days date[])
returns table (
    log_id uuid, folder text, host text, path text, bytes bigint, sha256 text, rows bigint,
    first_at timestamptz, last_at timestamptz, in_log tstzmultirange, failures_in_log tstzmultirange
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        identity.log_id,
        archive.folder,
        archive.host,
        file.path,
        file.bytes,
        encode(file.sha256, 'hex'),
        file.rows,
        file.first_at,
        file.last_at,
        file.in_log * tstzmultirange(tstzrange(file.begins, file.ends)),
        file.failures_in_log * tstzmultirange(tstzrange(file.begins, file.ends))
    from execlog.archived_file as file
    cross join execlog.log_identity as identity
    left join execlog.archive as archive on archive.only_row
    where (days is null or file.day = any(days))
        and not file.in_log @> tstzrange(file.first_at, file.last_at, '[]')
    order by file.last_at desc, file.path
    limit 100000
$$;

comment on function execlog.archived_on(date[]) is 'Which files hold executions of these days that the log lacks; NULL: of all days.';

-- It is whose the log is. Who may store executions, or read the table, may ask it.
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
    revoke execute on function execlog.archived_on(date[]) from public;
    for granted in
        select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
        from (
            select grantee
            from pg_class
            cross join aclexplode(relacl)
            where (oid = 'execlog.strategy_execution_log'::regclass and privilege_type = 'INSERT')
                or (oid = 'execlog.archived_file'::regclass and privilege_type = 'SELECT')
            union
            select grantee
            from pg_proc
            cross join aclexplode(proacl)
            where oid = 'execlog.claim_batch(uuid, bigint, uuid, uuid)'::regprocedure
                and privilege_type = 'EXECUTE'
        ) as may
        where grantee <> log_owner
    loop
        execute 'grant execute on function execlog.archived_on(date[]) to ' || granted;
    end loop;
    perform set_config('citus.enable_ddl_propagation', propagation, true);
    if pg_get_userbyid(log_owner) <> current_user then
        execute 'alter function execlog.archived_on(date[]) owner to ' || quote_ident(pg_get_userbyid(log_owner));
    end if;
    perform set_config('search_path', path, true);
end
$$;
