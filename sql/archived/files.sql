-- Which files hold runs of these times that the log lacks, all or some?
-- $1 since timestamptz? always
-- $2 until timestamptz? always
-- $3 external_user_ids text[]? always
-- Columns: log_id uuid, is_settled boolean, is_subject boolean, path text?, bytes bigint?, sha256 text?, rows bigint?, ok_rows bigint?, first_at timestamptz?, last_at timestamptz?, in_log text?, failures_in_log text?
-- Index: none
--
-- One row a file, newest first; one row without a file if there is none. Of files that can't hold a run of these users
-- nothing is said, but to roles that see some rows of the log only, by a policy (is_subject): they would learn from it.
-- Of more than ten users all files are listed: a look at each takes up to 20 µs a file, and most files would seem to
-- hold one of them. The times that the log holds too are pairs, the second of which is beyond them.
-- Partitions come and go whatever the snapshot: this one lists those that it has, pg_partition_tree those that there are,
-- which it locks. Unless they are the same, rows that the snapshot takes for those of the log may be gone. The log is named
-- as a table so that it is locked before its partitions, as by all who remove some: the other way round is a deadlock.
select
    execlog.log_id() as log_id,
    array(
        select relid::oid
        from pg_catalog.pg_partition_tree('execlog.strategy_execution_log'::regclass)
        where parentrelid is not null
        order by relid
    ) = array(
        with recursive tree as (
            select inhrelid
            from pg_catalog.pg_inherits
            where inhparent = 'execlog.strategy_execution_log'::regclass
            union all
            select child.inhrelid
            from tree
            join pg_catalog.pg_inherits as child on child.inhparent = tree.inhrelid
        )
        select inhrelid
        from tree
        order by inhrelid
    ) and not exists (select from execlog.strategy_execution_log where false) as is_settled,
    pg_catalog.row_security_active('execlog.strategy_execution_log'::regclass) as is_subject,
    file.path,
    file.bytes,
    encode(file.sha256, 'hex') as sha256,
    file.rows,
    file.ok_rows,
    file.first_at,
    file.last_at,
    (
        select json_agg(json_build_array(lower(span), upper(span)) order by lower(span))::text
        from unnest(file.in_log * tstzmultirange(tstzrange(file.begins, file.ends))) as span
    ) as in_log,
    (
        select json_agg(json_build_array(lower(span), upper(span)) order by lower(span))::text
        from unnest(file.failures_in_log * tstzmultirange(tstzrange(file.begins, file.ends))) as span
    ) as failures_in_log
from (values (true)) as answer (only_row)
left join execlog.archived_file as file on file.last_at >= coalesce($1::timestamptz, '-infinity')
    and file.first_at <= coalesce($2::timestamptz, 'infinity')
    and not file.in_log @> tstzrange(file.first_at, file.last_at, '[]')
    and (
        $3::text[] is null
        or cardinality($3::text[]) > 10
        or pg_catalog.row_security_active('execlog.strategy_execution_log'::regclass)
        or exists (
            select
            from unnest($3::text[]) as wanted
            where execlog.may_hold(file.users, sha256(convert_to(wanted, 'UTF8')))
        )
    )
order by file.last_at desc nulls last, file.path
limit 100000
