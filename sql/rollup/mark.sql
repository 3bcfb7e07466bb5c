-- Marks a time of all strategies, whose rollups are summed up again then.
-- $1 begins timestamptz
-- $2 ends timestamptz
-- Columns: none
-- Index: rollup_mark_of_all_pkey
insert into execlog.rollup_mark_of_all (begins, ends)
values ($1::timestamptz, $2::timestamptz)
on conflict do nothing
