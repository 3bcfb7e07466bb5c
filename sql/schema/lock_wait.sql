-- How long does this transaction wait for a lock until now?
-- Columns: current_setting text
-- Index: none
select current_setting('lock_timeout')
