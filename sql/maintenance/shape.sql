-- Which columns can be copied, who owns the log, is it spread over a cluster, and from when on are rows in no rollup?
-- Columns: columns text, owner text, is_cluster boolean, unrolled_from timestamptz?
-- Index: none
--
-- Marks of the last minute don't count: a step that removes rows sums them up itself, or is postponed.
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
        select least(
            state.complete_until,
            (
                select min(mark.begins)
                from execlog.rollup_mark as mark
                where mark.begins < mark.ends
                    and mark.ends > (select rows_from from execlog.rollup_state)
                    and mark.marked_at < now() - interval '1 minute'
            ),
            (
                select min(mark.begins)
                from execlog.rollup_mark_of_all as mark
                where mark.begins < mark.ends
                    and mark.ends > (select rows_from from execlog.rollup_state)
                    and mark.marked_at < now() - interval '1 minute'
            )
        )
        from execlog.rollup_state as state
        where state.enabled
    ) as unrolled_from
