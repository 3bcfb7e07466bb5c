-- Which indexes of these partitions take more room than they need, and what did an interrupted rebuild leave?
-- $1 partitions text[]
-- Columns: partition text, name text, bytes bigint, leftover boolean
-- Index: none
--
-- Those that were never rebuilt, or have grown by a quarter since: a rebuild notes its bytes in the comment of
-- the index, which REINDEX and pg_dump keep. Left alone: partitions that the log's owner does not own, and
-- indexes with comments or settings of others. REINDEX CONCURRENTLY names its unfinished index _ccnew, and the
-- one that it replaced _ccold, with a number if there was one. The smallest come first: if an old transaction is
-- in the way of the first one, little work is lost.
with candidate as materialized (
    select
        child.relname as partition,
        class.relname as name,
        coalesce(pg_relation_size(class.oid), 0) as bytes,
        entry.indisvalid,
        class.relispartition,
        class.reloptions,
        note.description as comment
    from pg_catalog.pg_class as log
    join pg_catalog.pg_inherits as link on link.inhparent = log.oid
    join pg_catalog.pg_class as child on child.oid = link.inhrelid
    join pg_catalog.pg_index as entry on entry.indrelid = child.oid
    join pg_catalog.pg_class as class on class.oid = entry.indexrelid
    join pg_catalog.pg_am as method on method.oid = class.relam
    left join pg_catalog.pg_description as note
        on note.objoid = class.oid
        and note.classoid = 'pg_catalog.pg_class'::regclass
        and note.objsubid = 0
    where log.oid = 'execlog.strategy_execution_log'::regclass
        and child.relname = any($1::text[])
        and child.relkind = 'r'
        and child.relnamespace = 'execlog'::regnamespace
        and pg_has_role(log.relowner, child.relowner, 'usage')
        and method.amname = 'btree'
        and not entry.indisexclusion
),
judged as (
    select
        partition,
        name,
        bytes,
        not indisvalid
            and not relispartition
            and name ~ '_cc(new|old)[0-9]*$' as leftover,
        indisvalid
            and relispartition
            and coalesce(reloptions = '{fillfactor=97}', true)
            and coalesce(comment ~ '^Rebuilt: [0-9]{1,15} bytes\.$', true) as ours,
        substring(comment from '^Rebuilt: ([0-9]{1,15}) bytes\.$')::bigint as rebuilt_bytes
    from candidate
)
select
    partition::text as partition,
    name::text as name,
    bytes,
    leftover
from judged
where leftover
    or (ours and (rebuilt_bytes is null or bytes * 4 > rebuilt_bytes * 5))
order by bytes, partition, name
limit 100000
