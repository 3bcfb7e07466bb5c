-- How large are the partitions, on all machines together?
-- Columns: name text, bytes bigint
-- Index: none
select
    child.relname::text as name,
    pg_catalog.citus_relation_size(child.oid) as bytes
from execlog.partitions() as partition
join pg_catalog.pg_class as child on child.oid = partition.id
join pg_catalog.pg_dist_partition as spread on spread.logicalrelid = child.oid
where not partition.is_default
