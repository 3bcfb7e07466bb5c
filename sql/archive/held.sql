-- Those of the offered rows that other files of the day hold.
create or replace temp table held as
select *
from read_parquet(string_split(:'paths', chr(10)), hive_partitioning = false, union_by_name = true, filename = true)
where (id, strategy_id, created_at) in (
    select
        id,
        strategy_id,
        created_at
    from offered
);
