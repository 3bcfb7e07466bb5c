-- Where do old rows go, and what went there?
-- Columns: folder text?, host text?, files bigint, rows bigint, bytes bigint, first_at timestamptz?, last_at timestamptz?
-- Index: none
--
-- One row; folder is NULL if the log has no archive. Of rows that were restored since, the log answers.
select
    archive.folder,
    archive.host,
    count(*) filter (where file.path is not null) as files,
    coalesce(sum(file.rows), 0)::bigint as rows,
    coalesce(sum(file.bytes), 0)::bigint as bytes,
    min(file.first_at) as first_at,
    max(file.last_at) as last_at
from (values (true)) as answer (only_row)
left join execlog.archive as archive on archive.only_row = answer.only_row
left join execlog.archived_file as file on true
group by archive.folder, archive.host
