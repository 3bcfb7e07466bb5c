-- Has the planner know how many runs users have: it learns that of an index from ANALYZE only, which closed partitions don't get again.
--
-- Locks: partitions of execlog.strategy_execution_log that hold rows, share update exclusive: neither readers
-- nor writers wait. Expected stall: none; a sample of 30,000 rows of each partition is read, in less than a second.

-- One that holds nothing is left as it is: the planner then expects it to grow. On a cluster none holds anything here.
do $$
declare
    path constant text := pg_catalog.current_setting('search_path');
    is_cluster constant boolean := pg_catalog.to_regproc('pg_catalog.create_distributed_table') is not null;
    partition text;
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    for partition in
        select leaf.relid::text
        from pg_partition_tree('execlog.strategy_execution_log') as leaf
        join pg_class as class on class.oid = leaf.relid
        where leaf.isleaf
            and class.relkind = 'r'
            and (class.reltuples > 0 or is_cluster)
            and pg_has_role(class.relowner, 'usage')
        order by class.oid
    loop
        execute 'analyze ' || partition;
    end loop;
    perform set_config('search_path', path, true);
end
$$;
