-- Which runs of these times are in files only, and where are those?
-- $1 since timestamptz
-- $2 until timestamptz
-- Columns: folder text, host text, last_at timestamptz
-- Index: none
--
-- One row, or none.
select
    archive.folder,
    archive.host,
    max(file.last_at) as last_at
from execlog.archived_file as file
cross join execlog.archive as archive
where file.last_at >= $1::timestamptz
    and file.first_at <= $2::timestamptz
    and not file.in_log @> tstzrange(file.first_at, file.last_at, '[]')
group by archive.folder, archive.host
