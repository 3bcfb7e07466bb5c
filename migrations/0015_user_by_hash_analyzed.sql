-- Has the planner know how many runs users have: it learns that of an index from ANALYZE only, which closed partitions don't get again.
--
-- Locks: partitions of execlog.strategy_execution_log that hold rows, share update exclusive: neither readers
-- nor writers wait. Expected stall: none; a sample of 30,000 rows of each partition is read, in less than a second.
do $$
declare
    path constant text := pg_catalog.current_setting('search_path');
    partition text;
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    for partition in
        select leaf.relid::text
        from pg_partition_tree('execlog.strategy_execution_log') as leaf
        join pg_class as class on class.oid = leaf.relid
        where leaf.isleaf
            and class.relkind = 'r'
            and class.reltuples > 0
            and pg_has_role(class.relowner, 'usage')
        order by class.oid
    loop
        execute 'analyze ' || partition;
    end loop;
    perform set_config('search_path', path, true);
end
$$;
