-- Removes rollups that are too old: of minutes before one time, of hours and days before another.
set local lock_timeout = :'lock_timeout';

update execlog.rollup_state
set minutes_from = greatest(minutes_from, :'ends'), hours_from = greatest(hours_from, :'begins');

delete from execlog.rollup
where (grain = 60 and begins < :'ends')
    or (grain in (3600, 86400) and begins < :'begins');
