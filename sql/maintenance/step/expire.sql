-- Clears the inputs in some pages of a partition. Rollups tell nothing of them, so nothing is marked.
set local lock_timeout = :'lock_timeout';

update execlog.:"partition"
set input = null,
    notes = concat_ws('; ', nullif(notes, ''), 'input expired')
where input is not null
    and created_at > '-infinity'
    and created_at < :'ends'
    and ctid >= :'low'::tid
    and ctid < :'high'::tid;
