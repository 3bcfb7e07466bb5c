-- How many recorders had executions in files when they told their account last?
-- Columns: recorders bigint
-- Index: none
--
-- It reads all accounts: an index on what each batch changes would cost each batch a part of its time.
select count(*) as recorders
from execlog.recorder_account as last
where spooled > 0
    and not exists (
        select
        from execlog.recorder_account as later
        where later.recorder_id = last.recorder_id
            and later.hour > last.hour
    )
