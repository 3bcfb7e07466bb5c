-- Which log is it, where do its old rows go, and how many went there?
-- Columns: log_id uuid, folder text?, host text?, files bigint
-- Index: none
select
    execlog.log_id() as log_id,
    archive.folder,
    archive.host,
    (select count(*) from execlog.archived_file) as files
from (values (true)) as answer (only_row)
left join execlog.archive on archive.only_row = answer.only_row
