-- Which log is connected?
-- Columns: log_id uuid?
-- Index: none
select execlog.log_id() as log_id
