-- From when to when are runs of these times in files that the log lacks, and where are those?
-- $1 since timestamptz? always
-- $2 until timestamptz? always
-- Columns: folder text?, host text?, first_at timestamptz, last_at timestamptz
-- Index: none
--
-- One row, or none. Of files whose runs were restored, or are not removed yet, the log answers.
select
    archive.folder,
    archive.host,
    min(file.first_at) as first_at,
    max(file.last_at) as last_at
from execlog.archived_file as file
left join execlog.archive as archive on true
where file.last_at >= coalesce($1::timestamptz, '-infinity')
    and file.first_at <= coalesce($2::timestamptz, 'infinity')
    and not file.in_log @> tstzrange(file.first_at, file.last_at, '[]')
group by
    archive.folder,
    archive.host
limit 1
