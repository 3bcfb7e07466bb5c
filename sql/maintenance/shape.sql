-- What columns can rows be moved by, and whose is the log?
-- Columns: columns text, owner text
-- Index: none
--
-- By their names, since a partition of somebody else's may have them in another order, and without
-- those that the server generates.
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
    ) as owner
