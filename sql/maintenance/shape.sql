-- Which columns can be copied, who owns the log, is it spread over a cluster, which rows are not in rollups?
-- Columns: columns text, owner text, is_cluster boolean, unrolled_before timestamptz?
-- Index: none
--
-- Columns by name, because a partition made by others may have them in another order, and without generated
-- ones.
select
    (
        select string_agg(quote_ident(attname), ', ' order by attnum)
        from pg_catalog.pg_attribute
        where attrelid = 'execlog.strategy_execution_log'::regclass
            and attnum > 0
            and attgenerated = ''
            and not attisdropped
    ) as columns,
    (
        select pg_get_userbyid(relowner)::text
        from pg_catalog.pg_class
        where oid = 'execlog.strategy_execution_log'::regclass
    ) as owner,
    to_regproc('pg_catalog.create_distributed_table') is not null as is_cluster,
    (
        select nullif(complete_from, '-infinity')
        from execlog.rollup_state
        where enabled
    ) as unrolled_before
