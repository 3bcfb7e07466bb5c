-- Sums up what has closed, an hour of it at most: is there more to do, and is what was to be done at some time done?
-- $1 began_at timestamptz? always
-- Columns: outcome text, began_at timestamptz, is_done boolean
-- Index: strategy_execution_log_time, rollup_mark_key, rollup_mark_of_all_pkey
--
-- more, done; busy: another process is at it; off: rollups are switched off. It is done, but for marks that came since
-- then, as of before this call.
select
    execlog.roll_up() as outcome,
    coalesce($1::timestamptz, now()) as began_at,
    coalesce(
        (
            select
                complete_until > $1::timestamptz - lag - interval '1 minute'
                and not exists (
                    select 1
                    from execlog.rollup_mark
                    where marked_at < $1::timestamptz
                )
                and not exists (
                    select 1
                    from execlog.rollup_mark_of_all
                    where marked_at < $1::timestamptz
                )
            from execlog.rollup_state
        ),
        false
    ) as is_done
