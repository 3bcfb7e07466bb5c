-- Can tables be distributed here?
-- Columns: is_cluster boolean
-- Index: none
select pg_catalog.to_regproc('pg_catalog.create_distributed_table') is not null as is_cluster
