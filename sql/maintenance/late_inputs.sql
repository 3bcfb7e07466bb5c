-- Has a partition whose inputs were cleared got others since?
-- $1 begins timestamptz
-- $2 ends timestamptz
-- $3 cleared_before bigint
-- Columns: late boolean
-- Index: strategy_execution_log_stored
select
    exists (
        select 1
        from execlog.strategy_execution_log
        where created_at >= $1::timestamptz
            and created_at < $2::timestamptz
            and stored_xid >= $3::bigint::text::xid8
            and input is not null
    ) as late
