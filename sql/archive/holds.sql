-- How many rows of a file are a user's. Statistics and filters of its groups exclude most of them.
select count(*) as rows
from read_parquet(:'part', hive_partitioning = false)
where external_user_id = :'user';
