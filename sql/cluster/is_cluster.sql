-- Can tables be distributed here?
-- Columns: is_cluster boolean
-- Index: none
select to_regproc('pg_catalog.create_distributed_table') is not null as is_cluster
