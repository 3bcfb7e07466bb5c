-- Until the transaction ends, the records are read as their owner, who may have made a view of them.
-- Columns: search_path text, role text?
-- Index: none
select
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true) as search_path,
    (
        select pg_catalog.set_config('role', role.rolname, true)
        from pg_catalog.pg_class as class
        join pg_catalog.pg_roles as role on role.oid operator(pg_catalog.=) class.relowner
        where class.oid operator(pg_catalog.=) pg_catalog.to_regclass('execlog.schema_migration')
            and role.rolname operator(pg_catalog.<>) current_user
            and pg_catalog.pg_has_role(
                role.oid,
                case
                    when pg_catalog.current_setting('server_version_num')::pg_catalog.int4 operator(pg_catalog.<) 160000
                    then 'member'
                    else 'set'
                end
            )
    ) as role
