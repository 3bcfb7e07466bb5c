-- How many rows a file holds, all of its bytes decoded.
select
    count(*) as rows,
    count(*) filter (where status = 'ok') as ok_rows,
    sum(hash(file)) as bytes_read
from read_parquet(:'part', hive_partitioning = false) as file;
