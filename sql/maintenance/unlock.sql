-- Lets others maintain.
-- Columns: unlocked boolean
-- Index: none
select pg_advisory_unlock(hashtextextended('execlog.maintain', 0)) as unlocked
