-- Stores the next rows of a table of another program, except those that are stored already.
with :given,
checked as materialized (
    :part
),
:kept,
stored as (
    insert into execlog.strategy_execution_log (
        :columns
    )
    select
        :columns
    from kept
    order by place
    on conflict do nothing
    returning 1
)
select
    (select count(*) from stored) as stored,
    :summary
