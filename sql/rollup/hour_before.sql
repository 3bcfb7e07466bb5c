-- Which is the last hour before a time of which there are rows, or rollups?
-- $1 before timestamptz
-- Columns: hour timestamptz?
-- Index: strategy_execution_log_time, rollup_time
select
    date_bin(
        '1 hour',
        greatest(
            (
                select max(created_at)
                from execlog.strategy_execution_log
                where strategy_id is distinct from ''
                    and created_at > '-infinity'
                    and created_at < $1::timestamptz
            ),
            (
                select max(begins)
                from execlog.rollup
                where grain = 60
                    and begins < $1::timestamptz
            ),
            (
                select max(begins)
                from execlog.rollup
                where grain = 3600
                    and begins < $1::timestamptz
            )
        ),
        '2000-01-01 00:00:00+00'
    ) as hour
