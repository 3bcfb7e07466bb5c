-- Deletes the progress of recorders that have stored nothing for so long that no batch of theirs can be open.
-- Batches wait for it: it is left to the next time if another session has locked the account or the progress.
-- Columns: prune_recorders void
-- Index: none
with limits as materialized (
    select pg_catalog.set_config('lock_timeout', '100ms', true)
)
select execlog.prune_recorders()
from limits
