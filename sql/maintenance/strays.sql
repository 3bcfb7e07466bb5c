-- In which hours, days, weeks or months of UTC are rows that no partition covers, and how many?
-- $1 unit text
-- Columns: begins timestamptz, rows bigint, total bigint
-- Index: strategy_execution_log_time
--
-- Those with most rows first, at most as many as partitions are allowed; total counts all rows. Rows at the
-- ends of the calendar are left out, since a partition needs a finite end.
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
