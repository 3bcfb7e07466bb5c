-- Up to when do the rollups hold every run, and is all of that made which was to be made at some time?
-- $1 began_at timestamptz
-- Columns: reached timestamptz, is_done boolean
-- Index: rollup_mark_key, rollup_mark_of_all_pkey
--
-- Marks of transactions that began later are others' work.
with mark as materialized (
    select
        begins,
        ends,
        marked_at
    from execlog.rollup_mark
    union all
    select
        begins,
        ends,
        marked_at
    from execlog.rollup_mark_of_all
)
select
    least(complete_until, (select min(begins) from mark where begins < ends)) as reached,
    complete_until > $1::timestamptz - interval '1 hour'
        and not exists (
            select 1
            from mark
            where marked_at < $1::timestamptz
                and begins < complete_until
        ) as is_done
from execlog.rollup_state
