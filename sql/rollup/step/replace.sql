-- What was there before goes; the rollups are complete from here on, if they were from where this ends.
--
-- A row that a writer is at is not waited for, since that writer may come to wait for another of these.
select 1
from execlog.rollup
where grain in (60, 3600)
    and begins >= :'begins'
    and begins :until :'ends'
    and slot <> execlog.rollup_own_slot()
for update nowait;

select 1
from execlog.rollup_name
where grain in (60, 3600)
    and begins >= :'begins'
    and begins :until :'ends'
    and slot <> execlog.rollup_own_slot()
for update nowait;

delete from execlog.rollup
where grain in (60, 3600)
    and begins >= :'begins'
    and begins :until :'ends'
    and slot <> execlog.rollup_own_slot();

delete from execlog.rollup_name
where grain in (60, 3600)
    and begins >= :'begins'
    and begins :until :'ends'
    and slot <> execlog.rollup_own_slot();

update execlog.rollup_state
set complete_from = :'begins'
where complete_from = :'ends';
