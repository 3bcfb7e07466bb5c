-- Deletes the progress of recorders that have stored nothing for so long that no batch of theirs can be open.
-- Columns: prune_recorders void
-- Index: none
select execlog.prune_recorders()
