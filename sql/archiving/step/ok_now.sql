-- Removes rows that a file now holds as ok, where the log holds its failures only: both would be answered.
delete from execlog.:"partition" as run
using
    execlog.archived_file as file,
    unnest($3::uuid[], $4::text[], $5::timestamptz[]) as one (id, strategy_id, created_at)
where file.day = $1::date
    and file.part = $2::integer
    and file.failures_in_log @> one.created_at
    and not file.in_log @> one.created_at
    and run.id = one.id
    and run.strategy_id = one.strategy_id
    and run.created_at = one.created_at
