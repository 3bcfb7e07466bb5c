-- Ends what a step has left unfinished.
-- Columns: none
-- Index: none
rollback
