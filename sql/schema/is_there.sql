-- Is there a log, whatever the records say?
-- Columns: is_there boolean
-- Index: none
select pg_catalog.to_regclass('execlog.strategy_execution_log') is not null as is_there
