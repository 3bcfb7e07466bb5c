-- In which hours, days, weeks or months of UTC do rows lie that no partition covers, and how many?
-- $1 unit text
-- Columns: begins timestamptz, rows bigint, total bigint
-- Index: strategy_execution_log_time
--
-- Those that hold most first, as many as there may be partitions; total counts the others' rows too. At the
-- ends of the calendar there are none, for the end of a partition must be a time too.
with stray as materialized (
    select
        date_trunc($1::text, created_at, 'UTC') as begins,
        count(*) as rows
    from execlog.strategy_execution_log_default
    where strategy_id is distinct from ''
        and created_at >= '0002-01-01 00:00:00+00'
        and created_at < '9998-01-01 00:00:00+00'
        and exists (
            select 1
            from pg_catalog.pg_inherits
            where inhrelid = 'execlog.strategy_execution_log_default'::regclass
        )
    group by date_trunc($1::text, created_at, 'UTC')
)
select
    begins,
    rows,
    (select sum(rows)::bigint from stray) as total
from stray
order by rows desc, begins desc
limit 2000
