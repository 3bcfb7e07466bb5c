-- Until the transaction ends, or `unpin` has run: names are looked up in pg_catalog only, since in another
-- schema any role may have made a function or an operator with a better match; and the owner of the records
-- is the current role, so that the objects of a migration are the owner's, not another role's. On a cluster
-- one connection to each machine is used: a function must be made by the one that changed the tables.
do $$
begin
    perform pg_catalog.set_config('execlog_migrate.search_path', pg_catalog.current_setting('search_path'), true);
    perform pg_catalog.set_config('execlog_migrate.role', pg_catalog.current_setting('role'), true);
    perform *
    from (
:become_owner
    ) as become_owner;
    if to_regproc('pg_catalog.create_distributed_table') is not null then
        perform set_config('citus.multi_shard_modify_mode', 'sequential', true);
        perform set_config('citus.enable_unsafe_triggers', 'on', true);
    end if;
end
$$;
