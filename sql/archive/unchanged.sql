-- The rows of a file that were not changed since, or of its successor.
create or replace temp view written as
select *
from read_parquet(:'part', hive_partitioning = false)
where (id, strategy_id, created_at) not in (
    select
        id,
        strategy_id,
        created_at
    from changed
);
