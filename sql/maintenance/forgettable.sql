-- Are there rollups that are too old to be kept?
-- $1 minutes_before timestamptz? always
-- $2 hours_before timestamptz? always
-- Columns: forgettable boolean
-- Index: rollup_time
select
    exists (
        select 1
        from execlog.rollup
        where grain = 60
            and begins < $1::timestamptz
    )
    or exists (
        select 1
        from execlog.rollup
        where grain = 3600
            and begins < $2::timestamptz
    ) as forgettable
