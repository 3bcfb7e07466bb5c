-- In which hours, days, weeks or months of UTC do rows lie that no partition covers?
-- $1 unit text
-- Columns: begins timestamptz
-- Index: strategy_execution_log_time
--
-- Newest first, a hundred at most: the others follow when these have their partitions. At the ends of the
-- calendar there are none, for the end of a partition must be a time too.
select begins
from (
    select distinct date_trunc($1::text, created_at, 'UTC') as begins
    from execlog.strategy_execution_log_default
    where strategy_id is distinct from ''
        and created_at >= '0002-01-01 00:00:00+00'
        and created_at < '9998-01-01 00:00:00+00'
        and exists (
            select 1
            from pg_catalog.pg_inherits
            where inhrelid = 'execlog.strategy_execution_log_default'::regclass
        )
) as stray
order by begins desc
limit 100
