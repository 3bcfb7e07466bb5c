-- Removes rollups that are too old: those of minutes before the one time, those of hours before the other.
set local lock_timeout = :'lock_timeout';

update execlog.rollup_state
set minutes_from = greatest(minutes_from, :'ends'), hours_from = greatest(hours_from, :'begins');

-- A row that a writer is at stays until the next time.
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
