-- Builds an index anew beside the present one, and puts it in its place under its name. Readers and writers of
-- the partition go on; only VACUUM, DDL and another rebuild wait.
reindex index concurrently execlog.:"index";
