-- How many pages a partition has: what a snapshot of before sees lies in none beyond them.
select pg_relation_size(oid) / current_setting('block_size')::bigint as pages
from pg_catalog.pg_class
where relnamespace = 'execlog'::regnamespace
    and relname = :'partition'
    and relkind = 'r'
