-- Which log is it, where do its old rows go, and how many went there?
-- Columns: log_id uuid, folder text?, host text?, files bigint
-- Index: none
select
    identity.log_id,
    archive.folder,
    archive.host,
    (select count(*) from execlog.archived_file) as files
from execlog.log_identity as identity
left join execlog.archive on true
