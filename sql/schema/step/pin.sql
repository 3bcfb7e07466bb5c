-- Until the transaction ends, or `unpin` has run: names are looked up in pg_catalog alone, since in another
-- schema anybody may have made a function or an operator that fits better; and all is done as the owner of
-- the records, so that what a migration makes is the owner's too, whoever applies it. On a cluster each
-- machine is told by one connection: of functions by no other than that which changed the tables.
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
    end if;
end
$$;
