-- Does DEFAULT hold rows that are too old to be kept?
-- $1 ok_before timestamptz? always
-- $2 failures_before timestamptz? always
-- Columns: expired boolean
-- Index: strategy_execution_log_time, strategy_execution_log_newest_failures
select
    exists (
        select 1
        from execlog.strategy_execution_log_default
        where strategy_id is distinct from ''
            and created_at > '-infinity'
            and created_at < least($1::timestamptz, $2::timestamptz)
    )
    or exists (
        select 1
        from execlog.strategy_execution_log_default
        where status = 'ok'
            and strategy_id is distinct from ''
            and created_at > '-infinity'
            and created_at < $1::timestamptz
    ) as expired
