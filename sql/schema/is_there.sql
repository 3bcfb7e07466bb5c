-- Does the log's table exist, with or without a record of migrations?
-- Columns: is_there boolean
-- Index: none
select pg_catalog.to_regclass('execlog.strategy_execution_log') is not null as is_there
