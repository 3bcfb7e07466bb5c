-- How many recorders had executions in files when they told their account last?
-- Columns: recorders bigint
-- Index: none
--
-- It reads all accounts: an index on what each batch changes would cost each batch a part of its time. The last
-- row of a recorder is the one that says most, and not the latest: see recorder_account.
select count(*) as recorders
from execlog.recorder_account as last
where spooled > 0
    and not exists (
        select
        from execlog.recorder_account as later
        where later.recorder_id = last.recorder_id
            and (later.offered + later.recovered - later.pending, later.closed_at is not null, later.hour)
                > (last.offered + last.recovered - last.pending, last.closed_at is not null, last.hour)
    )
