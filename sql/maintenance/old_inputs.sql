-- Does DEFAULT hold inputs that are too old to be kept?
-- $1 before timestamptz
-- Columns: old boolean
-- Index: strategy_execution_log_time
select
    exists (
        select 1
        from execlog.strategy_execution_log_default
        where strategy_id is distinct from ''
            and created_at > '-infinity'
            and created_at < $1::timestamptz
            and input is not null
    ) as old
