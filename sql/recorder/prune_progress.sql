-- Forgets the recorders that have stored nothing for so long that none of their batches can be under way.
-- $1 days integer
-- Columns: none
-- Index: none
delete from execlog.recorder_progress
where stored_at < now() - make_interval(days => $1::integer)
