-- Counts what can be stored of the next rows of a table of another program, and what is stored already.
with :given,
checked as materialized (
    :part
),
:kept
select
    (
        select count(*)
        from kept
        where not exists (
            select 1
            from execlog.strategy_execution_log as ours
            where ours.id = kept.id
                and ours.strategy_id = kept.strategy_id
                and (
                    ours.created_at = kept.created_at
                    or (ours.created_at is null and kept.created_at is null)
                )
        )
    ) as stored,
    :summary
