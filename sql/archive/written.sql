-- What was written, as it is read back from the disk.
create or replace temp view written as
select *
from read_parquet(:'part', hive_partitioning = false);
