-- Forgets the recorders that have stored nothing for so long that none of their batches can be under way.
-- Columns: prune_recorders void
-- Index: none
select execlog.prune_recorders()
