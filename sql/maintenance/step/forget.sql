-- Removes rollups that are too old: of minutes before one time, of hours before another.
set local lock_timeout = :'lock_timeout';

update execlog.rollup_state
set minutes_from = greatest(minutes_from, :'ends'), hours_from = greatest(hours_from, :'begins');

-- A row that a writer has locked stays until the next run.
delete from execlog.rollup
where ctid in (
    select ctid
    from execlog.rollup
    where (grain = 60 and begins > '-infinity' and begins < :'ends')
        or (grain = 3600 and begins > '-infinity' and begins < :'begins')
    for update skip locked
);

delete from execlog.rollup_name
where ctid in (
    select ctid
    from execlog.rollup_name
    where (grain = 60 and begins > '-infinity' and begins < :'ends')
        or (grain = 3600 and begins > '-infinity' and begins < :'begins')
    for update skip locked
);
